"""A backup, taken: a snapshot's databases, the blobs that they name, what is registered in the place of images and the
home's secrets, in one file.

The file has a temporary name until it is whole and durable.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from clary import __version__
from clary.backup import index
from clary.backup.archive import Writer
from clary.backup.asking import Ask, Snapshot, Tell, snapshot
from clary.backup.snapshots import DATABASES
from clary.config import Settings
from clary.images import carried
from clary.objects.base import Lost, ObjectStore
from clary.objects.choice import object_store
from clary.objects.damage import Damaged

_A_FILE = 1024  # bytes that a file takes in the archive besides its own


class CannotBackUp(Exception):
    """The message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Backup:
    """What was written: `size` is the file's, in bytes; `missing` are blobs that the index names and the home lacks, or
    does not have as they were written; `root_key` says whether the file holds it."""

    file: Path
    size: int
    blobs: int
    missing: list[str]
    root_key: bool


@dataclass(frozen=True, slots=True)
class _Content:
    """What is to be written, besides blobs: (name, file); and how much in all, in bytes."""

    files: list[tuple[str, Path]]
    blobs: int
    size: int


def back_up(settings: Settings, ask: Ask, target: Path, copying: Tell, writing: Tell) -> Backup:
    """Writes `target`, which must not exist. `copying` hears of the databases' pages or rows, `writing` of bytes.
    Raises CannotBackUp, StoreFailed, Refused, NotRunning, PlaceError, Unavailable, OSError."""
    if target.exists():
        raise CannotBackUp(f"{target} exists already. Give another name, or move it away.")
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with (
            snapshot(ask, DATABASES, settings.database_url, copying) as taken,
            index.opened(taken.folder / "objects.db") as found,
        ):
            content = _content(settings, taken, found)
            _check_room(target, content)
            with contextlib.closing(object_store(settings)) as store:
                missing = _write(store, taken, found, content, draft, writing)
        draft.rename(target)
        _sync(target.parent)
    finally:
        draft.unlink(missing_ok=True)
    root_key = any(name == "secrets/root.key" for name, _ in content.files)
    return Backup(target, target.stat().st_size, content.blobs - len(missing), missing, root_key)


def _content(settings: Settings, taken: Snapshot, found: index.Index) -> _Content:
    files = [(f"secrets/{path.name}", path) for path in sorted(settings.secrets.iterdir()) if path.is_file()]
    files += [(f"data/{name}.db", taken.folder / f"{name}.db") for name in DATABASES]
    files += carried.pack(settings, taken.folder / "registered")
    blobs, size = found.sizes()
    return _Content(files, blobs, size + sum(path.stat().st_size for _, path in files))


def _check_room(target: Path, content: _Content) -> None:
    needed = content.size + _A_FILE * (len(content.files) + content.blobs)
    free = shutil.disk_usage(target.parent).free
    if free < needed:
        raise CannotBackUp(
            f"The backup needs {needed / 1024**3:.2f} GiB, and {target.parent} has {free / 1024**3:.2f} GiB free. "
            "Give another place, or make room."
        )


def _write(
    store: ObjectStore, taken: Snapshot, found: index.Index, content: _Content, draft: Path, writing: Tell
) -> list[str]:
    """Returns the names of the blobs that are missing or damaged."""
    facts = {"version": __version__, "created": time.time(), "size": content.size, "blobs": content.blobs}
    done, missing = 0, list[str]()

    def count(more: int) -> None:
        nonlocal done
        done += more
        writing(done, content.size)

    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        archive = Writer(file, {**facts, **taken.facts}, count)
        try:
            for name, path in content.files:
                archive.add(name, path)
            for blob in found.blobs():
                try:
                    archive.add_blob(blob, store)
                except (FileNotFoundError, Lost, Damaged):
                    missing.append(blob)
            archive.finish()
        finally:
            archive.close()
        file.flush()
        os.fsync(file.fileno())
    return missing


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
