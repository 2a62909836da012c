"""An image with a Python in it: this machine's, with what it needs, and packages where they are wanted."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from flows import container_images

PYTHON = "/opt/python/bin/python3"
_UNWANTED = ("test", "tests", "__pycache__", "site-packages", "idlelib", "tkinter", "ensurepip", "lib2to3", "config-*")
_FILE = """FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
COPY root /
COPY program /opt/program/
ENV PATH=/opt/program:/opt/python/bin:/bin
WORKDIR /opt/program
"""


def python_image(folder: Path, packages: Sequence[str] = (), programs: Mapping[str, str] | None = None) -> Path:
    """Puts into `folder` what it is built of. packages: distributions of the tests' environment, with what these need;
    programs: as of `busybox_image`."""
    container_images.busybox_image(folder, programs or {})
    (folder / "Dockerfile").write_text(_FILE)
    base, root = Path(sys.base_prefix), folder / "root"
    library = Path("lib", f"python{sys.version_info[0]}.{sys.version_info[1]}")
    copied = root / "opt/python" / library
    shutil.copytree(base / library, copied, ignore=shutil.ignore_patterns(*_UNWANTED), symlinks=True)
    (root / "opt/python/bin").mkdir()
    program = Path(sys.executable).resolve()
    shutil.copy(program, root / PYTHON.lstrip("/"))
    for each in _libraries([program, *copied.glob("lib-dynload/*.so")]):
        place = root / str(each.parent).lstrip("/")
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(each, place / each.name)
    for name in packages:
        _copy_package(name, copied / "site-packages")
    return folder


def _libraries(programs: Sequence[Path]) -> set[Path]:
    """The shared libraries that these need, the loader among them, where they look for them."""
    found = set[Path]()
    for each in programs:
        said = subprocess.run(["ldd", each], capture_output=True, text=True, check=False).stdout
        found |= {Path(path) for path in re.findall(r"(/\S+) \(0x", said)}
    return found


def _copy_package(name: str, target: Path) -> None:
    distribution = metadata.distribution(name)
    for file in distribution.files or ():
        if file.suffix != ".pyc" and ".." not in file.parts:
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(distribution.locate_file(file), target / file)
    for each in distribution.requires or ():
        if "extra ==" not in each:
            needed = re.split(r"[^\w.-]", each, maxsplit=1)[0]
            if not any((target / other).exists() for other in (needed, needed.replace("-", "_"), f"{needed}.py")):
                _copy_package(needed, target)
