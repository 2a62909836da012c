"""Virtual environments of images: one per content of a lock file and Python, built once, read-only from then on.

A virtual environment cannot be moved, so it is built in place under a file lock; a mark written last says that it is
whole. What a crash leaves behind has no mark and is built anew.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from clary.config import Settings
from clary.images import installer, lockfiles, pythons

_MARK = ".complete"
_ADVICE = (
    "The image environment could not be built. The first build needs a package index that pip or uv can reach (or "
    "their filled cache) and about 500 MB of disk; then try again."
)


def path(settings: Settings, name: str) -> Path:
    """Where the environment of that name is or will be; changes with its lock file and with the Python under it."""
    return settings.images_home / "environments" / f"{name}-{_digest(name)}"


def name_of(place: Path) -> str:
    """Of an environment, or of one that was made of it with more in it."""
    return place.name.partition("+")[0].rpartition("-")[0]


@functools.cache  # what it is made of changes with the program only
def _digest(name: str) -> str:
    version = pythons.version_of(name)
    if version == pythons.OWN:
        base = f"{platform.python_implementation()} {platform.python_version()} {platform.machine()} "
        base += pythons.base_python()
    else:  # which one it is built on is found when it is
        base = f"CPython {version} {platform.machine()}"
    return hashlib.sha256(f"{base}\n{lockfiles.text(name)}".encode()).hexdigest()[:16]


def ready(environment: Path | str) -> bool:
    return os.access(f"{environment}/{_MARK}", os.F_OK)  # every Create asks: without a Path, which costs more


def build(settings: Settings, name: str, report: installer.Report) -> Path:
    """The path of the environment, built if it has to be (seconds with uv). Others who ask meanwhile wait for this
    build. Raises ImageBuildFailed with what to do."""
    place = path(settings, name)

    def make(lock: int) -> None:
        report(f"Building image environment {name} in {place}")
        tool = installer.find(name, lock, report, _ADVICE)
        if not tool.uv:
            report("uv was not found; building with pip, which takes longer")
        packages = place.with_name(place.name + ".txt")
        packages.write_text(lockfiles.text(name), encoding="utf-8")
        try:
            tool.venv(place)
            tool.install_locked(place, packages)
        finally:
            packages.unlink(missing_ok=True)
        report(f"Image environment {name} is ready")

    return once(place, make)


def once(place: Path, make: Callable[[int], None]) -> Path:
    """The place itself, made by `make` if it is not there: given the descriptor of a lock, which its commands have to
    inherit. Who asks meanwhile waits. What fails leaves nothing; what a crash left half made is removed before."""
    if ready(place):
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(lock_of(place)) as lock:
        if not ready(place):
            shutil.rmtree(place, ignore_errors=True)
            try:
                make(lock)
            except BaseException:  # a Ctrl-C among them; half of it is of use to nobody
                shutil.rmtree(place, ignore_errors=True)
                raise
            (place / _MARK).touch()
    return place


def lock_of(place: Path) -> Path:
    """The file whose lock whoever builds or removes the environment holds."""
    return place.with_name(place.name + ".lock")


def mark_used(place: Path) -> None:
    """Its time is that of the last use, as far as this user may say so."""
    with contextlib.suppress(OSError):
        os.utime(place / _MARK)


def last_used(place: Path) -> float:
    """Epoch seconds; 0 for one that is not there."""
    return (place / _MARK).stat().st_mtime if ready(place) else 0.0


def unmark(place: Path) -> None:
    """From here on it is not there, whatever is left of it."""
    (place / _MARK).unlink(missing_ok=True)


@contextmanager
def _only_one(lock: Path) -> Iterator[int]:
    """The descriptor that holds the lock."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)
