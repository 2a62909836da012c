"""The folders of sockets and pid files. That of a deeply nested home is in the temporary folder, where nobody tidies
up: it says whose it is, and the next server of this user takes away those whose home is gone."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile
from pathlib import Path

from clary.config import Settings
from clary.server import processes

_MARK = "home"  # in such a folder: the path of its home
_TRIES = 10  # somebody may take the folder away that this home had once, while it is made again
_ASIDE = ".gone-"  # behind the name of one that is being removed, with who does it


def make(settings: Settings) -> os.stat_result:
    """Makes the run folder of a home that is there, and returns what is there. Raises OSError."""
    for _ in range(_TRIES):
        with contextlib.suppress(FileNotFoundError):
            return _made(settings)
    return _made(settings)


def _made(settings: Settings) -> os.stat_result:
    settings.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = settings.run.lstat()
    if is_private(found) and not settings.run.is_relative_to(settings.home):
        (settings.run / _MARK).write_bytes(os.fsencode(settings.home))
    return found


def is_private(found: os.stat_result) -> bool:
    """Whether it is a folder of this user alone. In the temporary folder anybody could have put it before us."""
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077


def remove(settings: Settings) -> None:
    """That of a home whose server has ended in order, unless it is in the home. Raises OSError when it is not empty."""
    if not settings.run.is_relative_to(settings.home):
        (settings.run / _MARK).unlink(missing_ok=True)
        settings.run.rmdir()


def sweep() -> None:
    """Removes this user's folders whose homes do not exist, and of whose processes none lives."""
    ours = re.compile(rf"(clary-{os.getuid()}-[0-9a-f]{{16}})({re.escape(_ASIDE)}\d+)?")
    for folder in Path(tempfile.gettempdir()).iterdir():
        found = ours.fullmatch(folder.name)
        if found is not None:
            with contextlib.suppress(OSError, ValueError):  # another is at it, or it is none of ours
                _sweep(folder, found[1])


def _sweep(folder: Path, name: str) -> None:
    home = Path(os.fsdecode((folder / _MARK).read_bytes()))
    if not is_private(folder.lstat()) or Settings(home=home).run.name != name or os.path.lexists(home):
        return
    if any(processes.recorded(path) is not None for path in folder.glob("*.pid")):
        return
    aside = folder.with_name(f"{name}{_ASIDE}{os.getpid()}")
    folder.rename(aside)  # from here on whoever makes the home again makes a folder of his own
    if os.path.lexists(home):  # he was quicker
        aside.rename(folder)
        return
    for path in sorted(aside.iterdir(), key=lambda each: each.name == _MARK):  # the mark last
        path.unlink()
    aside.rmdir()
