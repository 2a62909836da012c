"""A backup, put back: into a home in which there is nothing yet, its databases into files or into PostgreSQL."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clary.backup.archive import DamagedBackup, NotABackup, Reader
from clary.backup.asking import Tell
from clary.backup.snapshots import COMPONENTS
from clary.config import Settings
from clary.images import carried
from clary.secrets import RootKey
from clary.server import home
from clary.store.errors import StoreFailed, StoreTooNew

_DRAFT = "restoring"
_PARTS = ("secrets", "registered", "objects", "data")  # in this order: without its databases a home is none


class CannotRestore(Exception):
    """The message says why, and what to do. The home is as it was."""


@dataclass(frozen=True, slots=True)
class Restored:
    """`facts` are what the backup says of itself: version, created (epoch seconds), size, blobs, account, region."""

    facts: dict[str, Any]


def restore(settings: Settings, source: Path, unpacking: Tell, loading: Tell) -> Restored:
    """Makes the settings' home of the backup `source`; `unpacking` hears of bytes, `loading` of rows, where the
    settings name PostgreSQL. Raises CannotRestore, OSError."""
    with _opened(source) as archive, _database(settings) as database, _fresh(settings) as draft:
        _check_room(settings.home, int(archive.facts["size"]))
        _unpack(source, archive, draft, unpacking)
        _check_key(dataclasses.replace(settings, home=draft), archive.facts, source)
        os.sync()  # one wait for all the files, be they many
        database(draft / "data", loading)
        for name in _PARTS:
            (draft / name).mkdir(mode=0o700, exist_ok=True)
            (draft / name).rename(settings.home / name)
        os.sync()
    return Restored(archive.facts)


@contextlib.contextmanager
def _database(settings: Settings) -> Iterator[Callable[[Path, Tell], None]]:
    """What brings the files of a folder into the settings' database: it is the last that can fail, and is seen to be
    empty at once. Files that are in PostgreSQL are no more."""
    if not settings.database_url:
        yield lambda _folder, _tell: None
        return
    from clary.store import crossings  # its driver is an extra

    def load(folder: Path, tell: Tell) -> None:
        crossings.put_in(settings.database_url, COMPONENTS, folder, tell)
        shutil.rmtree(folder)

    try:
        crossings.check_empty(settings.database_url, COMPONENTS)
        yield load
    except StoreFailed as error:
        raise CannotRestore(f"The database that CLARY_DATABASE_URL names cannot be filled: {error}.") from error
    except StoreTooNew as error:
        raise CannotRestore(str(error)) from error


@contextlib.contextmanager
def _opened(source: Path) -> Iterator[Reader]:
    if source.is_dir():
        raise CannotRestore(f"{source} is a folder. Give the file of a backup, as `clary backup` named it.")
    with source.open("rb") as file:
        try:
            yield Reader(file)
        except NotABackup as error:
            raise CannotRestore(f"{source} cannot be restored: {error}.") from error


@contextlib.contextmanager
def _fresh(settings: Settings) -> Iterator[Path]:
    """A folder in the home to unpack to; the home is held meanwhile, and as it was after an error."""
    made = not settings.home.exists()
    if not made:
        _check_empty(settings)  # before anything is made in it
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with _held(settings):
            _check_empty(settings)
            draft = settings.home / _DRAFT
            draft.mkdir(mode=0o700)
            try:
                yield draft
            finally:
                shutil.rmtree(draft, ignore_errors=True)
    except BaseException:
        if made:
            shutil.rmtree(settings.home, ignore_errors=True)
        raise


@contextlib.contextmanager
def _held(settings: Settings) -> Iterator[None]:
    try:
        with home.locked(settings):
            yield
    except home.HomeError as error:
        raise CannotRestore(str(error)) from error


def _check_empty(settings: Settings) -> None:
    if any(path.name != "lock" for path in settings.home.iterdir()):
        raise CannotRestore(
            f"There is something in {settings.home} already. A backup is restored into a fresh home: give another "
            "place with --home, or move this one away."
        )


def _check_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size:
        raise CannotRestore(
            f"The backup holds {size / 1024**3:.2f} GiB, and {folder} has {free / 1024**3:.2f} GiB free. "
            "Give another place with --home, or make room."
        )


def _unpack(source: Path, archive: Reader, draft: Path, tell: Tell) -> None:
    done, size = 0, int(archive.facts["size"])

    def count(more: int) -> None:
        nonlocal done
        done += more
        tell(done, size)

    try:
        archive.unpack(draft, count)
        carried.unpack(draft / "registered")
    except (DamagedBackup, carried.BadCopy) as error:
        raise CannotRestore(f"{source} cannot be restored: {error}.") from error


def _check_key(settings: Settings, facts: dict[str, Any], source: Path) -> None:
    """That the secrets will open: with the root key of the backup, or with the one that is given here."""
    try:
        same = RootKey.load(settings).fingerprint() == facts["root_key"]
    except ValueError as error:
        raise CannotRestore(f"The root key is not usable: {error}.") from error
    if not same:
        raise CannotRestore(
            f"The secrets in {source} are sealed under another root key than this one. Give the CLARY_ROOT_KEY or "
            "CLARY_ROOT_PASSPHRASE_FILE of the server that it is of; if that had none, unset both."
        )
