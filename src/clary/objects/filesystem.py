"""The embedded object store: one file per blob, in 256 folders, under a random name that no client chose."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from clary.objects.base import Extent, FileBody, Known, Writer
from clary.objects.freeing import Freeing
from clary.objects.pins import Pins
from clary.wire.messages import Body, land

_NAME = re.compile(r"[0-9a-f]{32}")
_PIECE = 256 * 1024
_BEGIN_SYNC = 8 * 1024 * 1024
_ASKED = 500  # names in one question of a sweep


class FilesystemStore:
    """Blobs under `folder`: `incoming/` holds what is being written, `00/` to `ff/` what is committed.

    A blob that is being read when it is deleted stays until its last reader is done (or the next sweep after a crash);
    while somebody holds the store, every deleted blob stays.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
        for shard in range(256):
            (folder / f"{shard:02x}").mkdir(exist_ok=True, mode=0o700)
        for parent in (folder, folder.parent):
            _sync_folder(parent)
        self._freeing = Freeing()
        self._pins = Pins(lambda blob: self._freeing.unlink(self._file(blob)))

    def writer(self) -> Writer:
        return _FileWriter(self._incoming, self._file)

    def read(self, blob: str, offset: int = 0, length: int | None = None) -> FileBody:
        """Raises FileNotFoundError at once when there is no such blob; a later delete does not disturb the reading."""
        file = self._file(blob)
        self._pins.add(blob)
        try:
            size = file.stat().st_size
        except BaseException:
            self._pins.drop(blob)
            raise
        left = max(0, size - offset) if length is None else length
        return _Reading(file, offset, left, lambda: self._pins.drop(blob))

    def path(self, blob: str) -> str | None:
        return str(self._file(blob))

    def url(self, blob: str, seconds: int) -> None:
        return None

    def delete(self, blob: str) -> None:
        self._pins.doom(blob)

    def hold(self) -> AbstractContextManager[None]:
        return self._pins.hold()

    def sweep(self, known: Known, grace: float) -> int:
        limit, swept = time.time() - grace, 0
        for number in range(256):
            old = _older(self._folder / f"{number:02x}", limit)
            for at in range(0, len(old), _ASKED):
                names = old[at : at + _ASKED]
                gone = set(names).difference(known(names))
                swept += len(gone)
                for name in gone:
                    self._pins.doom(name)
        unfinished = _older(self._incoming, limit)
        for name in unfinished:
            (self._incoming / name).unlink(missing_ok=True)
        return swept + len(unfinished)

    def close(self) -> None:
        """Files that are freed need no end."""

    def _file(self, blob: str) -> Path:
        if not _NAME.fullmatch(blob):
            raise FileNotFoundError(f"no blob is named {blob!r}")
        return self._folder / blob[:2] / blob


class _Reading:
    """The pieces of a blob. The file is opened by the first `next`, so that an object of 10,000 parts costs no 10,000
    descriptors."""

    def __init__(self, file: Path, offset: int, left: int, done: Callable[[], None]) -> None:
        self._file = file
        self._offset = offset
        self._left = self.size = left
        self._done: Callable[[], None] | None = done
        self._descriptor = -1

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._left <= 0 or self._done is None:
            self.close()
            raise StopIteration
        if self._descriptor < 0:
            self._descriptor = os.open(self._file, os.O_RDONLY | os.O_CLOEXEC)
        piece = os.pread(self._descriptor, min(_PIECE, self._left), self._offset)
        if not piece:
            self.close()
            raise OSError(f"{self._file.name} ends {self._left} bytes early")
        self._offset += len(piece)
        self._left -= len(piece)
        return piece

    def extents(self) -> Iterator[Extent]:
        if self._left > 0 and self._done is not None:
            yield str(self._file), self._offset, self._left
        self.close()

    def close(self) -> None:
        """Ends the reading; a second call changes nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        done, self._done = self._done, None
        if done is not None:
            done()

    def __del__(self) -> None:
        self.close()


class _FileWriter:
    def __init__(self, incoming: Path, place: Callable[[str], Path]) -> None:
        self._name = secrets.token_hex(16)
        self._place = place
        self._temporary = incoming / self._name
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor = os.open(self._temporary, flags, stat.S_IRUSR | stat.S_IWUSR)
        self._landing = False  # the bytes come by themselves
        self._begun = 0  # up to where the kernel has begun to write to the disk
        self._unsynced = 0  # bytes behind that

    def write(self, data: bytes) -> None:
        view = memoryview(b"" if self._landing else data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
            self._unsynced += len(data)
            if self._unsynced >= _BEGIN_SYNC:
                self._begin_sync()
        except OSError:
            self.abort()
            raise

    def land(self, body: Body) -> None:
        self._landing = land(body, str(self._temporary), self._descriptor)

    def _begin_sync(self) -> None:
        """Has the kernel write out what there is while more comes in, so that the sync in the end finds little to do:
        it begins that, without waiting, when it is told that these pages will not be needed."""
        os.posix_fadvise(self._descriptor, self._begun, self._unsynced, os.POSIX_FADV_DONTNEED)
        self._begun += self._unsynced
        self._unsynced = 0

    def commit(self) -> str:
        file = self._place(self._name)
        try:
            os.fsync(self._descriptor)
            self._temporary.rename(file)
            _sync_folder(file.parent)
        except OSError:
            file.unlink(missing_ok=True)
            self.abort()
            raise
        self._close()
        return self._name

    def abort(self) -> None:
        """Fine after a commit or another abort, where it changes nothing."""
        if self._close():
            self._temporary.unlink(missing_ok=True)

    def _close(self) -> bool:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return False
        with contextlib.suppress(OSError):  # EIO here was reported by fsync already
            os.close(descriptor)
        return True

    def __del__(self) -> None:
        if getattr(self, "_descriptor", -1) >= 0:
            self.abort()


def _older(folder: Path, limit: float) -> list[str]:
    """Names of the files that were last written before `limit`, epoch seconds."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):  # deleted, or moved to its place, meanwhile
                if entry.stat().st_mtime <= limit:
                    found.append(entry.name)
    return found


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
