"""The code that runs in sandboxes: a folder with the inside's rooms of this package and nothing else of it."""

from __future__ import annotations

import compileall
import hashlib
import py_compile
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import clary
from clary.config import Settings

ROOMS = ("contract", "algorithms", "runner", "modelserver", "sandbox")


def tree(settings: Settings) -> Path:
    """A folder for the inside's sys.path, named by its content; made when it is not there yet. Two processes may ask at
    once: each makes its own and the first one's stays."""
    sources = tuple(_sources())
    digest = hashlib.sha256()
    for name, content in sources:
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    home = settings.images_home / "inside"
    place = home / digest.hexdigest()[:16]
    if not place.is_dir():
        home.mkdir(parents=True, exist_ok=True)
        _make(sources, place)
    return place


def _sources() -> Iterator[tuple[str, bytes]]:
    package = Path(clary.__file__).parent
    yield "clary/__init__.py", (package / "__init__.py").read_bytes()
    for room in ROOMS:
        for path in sorted((package / room).rglob("*.py")):
            yield f"clary/{path.relative_to(package).as_posix()}", path.read_bytes()


def _make(sources: tuple[tuple[str, bytes], ...], place: Path) -> None:
    scratch = Path(tempfile.mkdtemp(prefix=".new-", dir=place.parent))
    try:
        for name, content in sources:
            path = scratch / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        compileall.compile_dir(
            scratch,
            quiet=2,
            stripdir=str(scratch),
            prependdir=str(place),
            # the folder never changes, so nobody needs to look at the sources' times
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        for path in (scratch, *scratch.rglob("*")):  # jobs run as another user than this one
            path.chmod(0o755 if path.is_dir() else 0o644)
        scratch.rename(place)
    except OSError:
        if not place.is_dir():
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
