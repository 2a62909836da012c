"""Folders and environments that an account has put in the place of an image: by `clary images register`.

A registration is a small file of the home, one for each account and URI, written whole: a server that runs finds it at
the next request. The folder itself is copied to a place named by its content, so that what a job runs stays as it was
when the URI was registered, and is shared by all registrations of the same content.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Set
from dataclasses import asdict, dataclass
from pathlib import Path

from clary.config import Settings
from clary.contract.folder import write_durably
from clary.contract.instance import Image
from clary.images import catalogue, disk, environments, frameworks, installer, requirements
from clary.images.base import Collected, ImageNotOffered

PROGRAMS = ("train", "serve")
_DRAFT = ".new-"  # what the names begin with of copies in the making
_LINGERS = 60.0  # seconds for which a copy stays that a request may have found just before another took its place
_NO_PART = shutil.ignore_patterns("__pycache__", ".git")


class CannotRegister(Exception):
    """What was given cannot stand for an image; the message says why."""


@dataclass(frozen=True, slots=True)
class Registration:
    """`environment` names the environment whose Python and libraries there are; `folder` the content of the programs
    that run in it, "" where scripts do, as in the framework's own images."""

    account: str
    uri: str
    environment: str
    folder: str = ""

    @property
    def pin(self) -> str:
        """As in Image; `pinned` reads it."""
        return f"{self.environment}/{self.folder}"

    def image(self, settings: Settings) -> Image:
        """Raises ImageNotOffered where another version of Clary had the environment, or the folder's copy is gone."""
        if all(each.lock != self.environment for each in frameworks.FRAMEWORKS):
            raise ImageNotOffered(
                f"Image '{self.uri}' is registered for the environment {self.environment}, which this version of Clary "
                "does not have. Register it again: clary images register. Endpoints take it up by UpdateEndpoint."
            )
        place = environments.path(settings, self.environment)
        if not self.folder:
            return Image("framework", self.uri, _framework(self.environment), str(place), pin=self.pin)
        programs = folder_place(settings, self.folder)
        if not programs.is_dir():
            raise ImageNotOffered(
                f"Image '{self.uri}' stood for a folder that is not kept here any more. Register it again: clary "
                "images register. Endpoints take it up by UpdateEndpoint."
            )
        layered = str(_layered(place, programs))
        where = {"programs": str(programs), "beneath": str(place), "pin": self.pin}
        return Image("folder", self.uri, self.environment, layered, **where)


class Registry:
    """The registrations of one home."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._home = settings.registered_images

    def find(self, account: str, uri: str) -> Registration | None:
        return _read(self._place(account, uri))

    def every(self) -> list[Registration]:
        """By account and URI."""
        found = [_read(path) for path in self._home.glob("[0-9]*/*.json")]
        return sorted((each for each in found if each), key=lambda each: (each.account, each.uri))

    def add(self, account: str, uri: str, folder: Path | None, environment: str) -> Registration:
        """In place of what the URI stood for before. Raises CannotRegister, ImageNotOffered."""
        catalogue.parse(uri)
        _framework(environment)
        with self.alone():
            content = _copied(self._settings, folder) if folder else ""
            self._let_go(account, uri)
            made = Registration(account, uri, environment, content)
            place = self._place(account, uri)
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_durably(place, json.dumps(asdict(made)))
        return made

    def remove(self, account: str, uri: str) -> bool:
        """Whether there was one. The folder's copy stays until `collect`."""
        with self.alone():
            self._let_go(account, uri)
            place = self._place(account, uri)
            there = place.exists()
            place.unlink(missing_ok=True)
        return there

    def collect(self, pins: Callable[[], Set[str]]) -> Collected:
        """Copies of folders go for which no URI stands any more, which none of `pins` names, and in which no instance
        runs; and what registrations that were killed have left."""
        with self.alone():
            gone = [*self._unused(pins()), *(self._home / "folders").glob(f"{_DRAFT}*")]
            sizes = [disk.size(each) for each in gone]
            for each in gone:
                shutil.rmtree(each)
        return Collected([str(each) for each in gone], sum(sizes), [])

    def _unused(self, pins: Set[str]) -> list[Path]:
        named = {each.folder for each in self.every()} | {each.partition("/")[2] for each in pins}
        old = time.time() - _LINGERS
        copies = sorted((self._home / "folders").glob("[0-9a-f]*"))
        unnamed = [each for each in copies if each.name not in named and each.stat().st_mtime < old]
        return [each for each in unnamed if not self._runs(each)]

    def _let_go(self, account: str, uri: str) -> None:
        """What the URI stood for lingers from now on."""
        before = self.find(account, uri)
        place = folder_place(self._settings, before.folder) if before and before.folder else None
        if place is not None and place.is_dir():
            os.utime(place)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Registrations and collections, of whatever process, one after the other."""
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._home / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _runs(self, copy: Path) -> bool:
        """An instance's file names what it was launched with for as long as its folder is there."""
        name = os.fsencode(copy)
        return any(name in spec.read_bytes() for spec in self._settings.instances.glob("*/spec.json"))

    def _place(self, account: str, uri: str) -> Path:
        return self._home / account / f"{hashlib.sha256(uri.encode()).hexdigest()[:32]}.json"


def pinned(account: str, uri: str, pin: str) -> Registration:
    """What an image with that pin was resolved from, whatever the URI stands for now."""
    return Registration(account, uri, *pin.split("/", 1))


def folder_place(settings: Settings, content: str) -> Path:
    return settings.registered_images / "folders" / content


def build(settings: Settings, environment: str, programs: Path, report: installer.Report) -> Path:
    """The environment of a folder, with what its requirements.txt names. Raises ImageBuildFailed, BadRequirements."""
    place = environments.build(settings, environment, report)
    wanted = _requirements(programs)
    return requirements.build(place, wanted, report) if wanted else place


def _layered(environment: Path, programs: Path) -> Path:
    wanted = _requirements(programs)
    return requirements.place_of(environment, wanted) if wanted else environment


def _requirements(programs: Path) -> list[str]:
    return requirements.read(programs) if (programs / "requirements.txt").is_file() else []


def _framework(environment: str) -> str:
    """The framework whose scripts run in the environment. Raises CannotRegister."""
    for each in frameworks.FRAMEWORKS:
        if each.lock == environment:
            return each.name
    names = ", ".join(sorted(each.lock for each in frameworks.FRAMEWORKS))
    raise CannotRegister(f"{environment} is neither a folder nor one of the environments for scripts: {names}.")


def _read(path: Path) -> Registration | None:
    try:
        return Registration(**json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None


def _copied(settings: Settings, folder: Path) -> str:
    """The name of the folder's content, once a copy of it is there, durably."""
    if not any((folder / f"{each}{end}").is_file() for each in PROGRAMS for end in ("", ".py")):
        raise CannotRegister(f"{folder} has neither a program `train` nor a program `serve` (or train.py, serve.py).")
    home = settings.registered_images / "folders"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=home))
    try:
        _check(folder)
        shutil.copytree(folder, draft, symlinks=True, dirs_exist_ok=True, ignore=_NO_PART)
        _requirements(draft)  # what cannot be installed is said now
        content = content_of(draft)
        settle(draft)
        if not (home / content).is_dir():
            draft.rename(home / content)
        return content
    except requirements.BadRequirements as error:
        raise CannotRegister(str(error)) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _check(folder: Path) -> None:
    for path in folder.rglob("*"):
        if not (path.is_symlink() or path.is_file() or path.is_dir()):
            raise CannotRegister(f"{path} is no file, folder or link.")


def content_of(folder: Path) -> str:
    """A digest of all names, kinds, permissions to run, and bytes."""
    digest = hashlib.sha256()
    for kind, name, path in _entries(folder):
        digest.update(f"{kind} {len(os.fsencode(name))} ".encode() + os.fsencode(name))
        if kind == "link":
            digest.update(os.fsencode(path.readlink()) + b"\0")
        elif kind != "folder":
            with path.open("rb") as file:
                digest.update(f"{path.stat().st_size} ".encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:32]


def settle(folder: Path) -> None:
    """Readable for jobs, which run as other users; on the disk."""
    for kind, _, path in _entries(folder):
        if kind != "link":
            path.chmod(0o755 if kind in ("folder", "program") else 0o644)
            _sync(path)
    folder.chmod(0o755)
    _sync(folder)


def _entries(folder: Path) -> Iterator[tuple[str, str, Path]]:
    """(kind, name below the folder, path) in the order of the names."""
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            kind = "link"
        elif stat.S_ISDIR(mode):
            kind = "folder"
        else:
            kind = "program" if mode & stat.S_IXUSR else "file"
        yield kind, path.relative_to(folder).as_posix(), path


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
