"""The image environments on this machine's disk: which there are, how large, in use or left over; and their removal."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from clary.algorithms import registry
from clary.config import Settings
from clary.images import bytecode, disk, environments, pythons
from clary.images.frameworks import FRAMEWORKS

_UNUSED = 30 * 86_400.0  # seconds
_OTHERS = 7 * 86_400.0  # seconds


class InUse(Exception):
    """A process runs in the environment, or builds it; the message says so."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An environment that this version of Clary uses. `purpose` says what runs in it; `size` in bytes, 0 where it is
    not built."""

    name: str
    purpose: str
    place: Path
    ready: bool
    size: int


def purposes() -> Mapping[str, str]:
    """Every environment's name with what runs in it."""
    algorithms = {spec.environment: f"built-in {spec.name}" for spec in registry.specs()}
    return algorithms | {each.lock: f"scripts of {each.title}" for each in FRAMEWORKS}


def listing(settings: Settings) -> list[Kept]:
    return [_kept(settings, name, purpose) for name, purpose in sorted(purposes().items())]


def _kept(settings: Settings, name: str, purpose: str) -> Kept:
    place = environments.path(settings, name)
    ready = environments.ready(place)
    return Kept(name, purpose, place, ready, disk.size(place) if ready else 0)


def leftovers(settings: Settings) -> list[Path]:
    """Environments of other versions of Clary, of its locks or of its Python, that nobody used in a week: versions
    share the folder, so those may be in use that this one does not know. And those of a requirements.txt that was not
    asked for in a month."""
    current = {environments.path(settings, name).name for name in purposes()}
    home = settings.images_home / "environments"
    found = sorted(home.iterdir()) if home.is_dir() else []
    return [place for place in found if place.is_dir() and not _is_wanted(settings, place, current)]


def _is_wanted(settings: Settings, place: Path, current: set[str]) -> bool:
    """Those of every image; of what requirements or another Python than Clary's made of them what is in use."""
    base, plus, _ = place.name.partition("+")
    if base in current and not plus:
        return True
    name = environments.name_of(place)
    known = pythons.lock_of(name) in purposes() and environments.path(settings, name).name == base
    return environments.last_used(place) > time.time() - (_UNUSED if known else _OTHERS)


def forget_bytecode(settings: Settings) -> int:
    """Of sources that no environment had in a month, for whom it is compiled anew; the bytes."""
    return bytecode.sweep(bytecode.store_of(settings.images_home / "environments" / "any"), _UNUSED)


def remove(place: Path) -> None:
    """Raises InUse. The mark goes first: what a crash leaves is no environment, and the next build begins with it."""
    with _sole(place):
        used = next(_users(place), None)
        if used is not None:
            raise InUse(f"{place.name} is in use by process {used}. Stop the jobs and endpoints in it, then try again.")
        environments.unmark(place)
        shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def _sole(place: Path) -> Iterator[None]:
    """With the lock of its builds. The lock file stays: a build may be waiting for it."""
    descriptor = os.open(environments.lock_of(place), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise InUse(f"{place.name} is being built. Try again when that has ended.") from error
    finally:
        os.close(descriptor)


def _users(place: Path) -> Iterator[int]:
    """Processes that were started from the environment or have a library of it loaded, in whose home it may be."""
    marks = f"{place}/".encode()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):  # it ended, or is another user's
                if marks in (process / "cmdline").read_bytes() or marks in (process / "maps").read_bytes():
                    yield int(process.name)
