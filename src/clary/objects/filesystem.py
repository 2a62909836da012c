"""The embedded object store: one file per blob, in 256 folders, under a random name that no client chose."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from clary.objects import blobs, seen
from clary.objects.base import Extent, FileBody, Known, Writer
from clary.objects.damage import Damaged, Damages, unheard
from clary.objects.freeing import Freeing
from clary.objects.pins import Pins
from clary.objects.seen import Seen
from clary.wire.messages import Body, land

_BEGIN_SYNC = 8 * 1024 * 1024
_ASKED = 500  # names in one question of a sweep


class FilesystemStore:
    """Blobs under `folder`: `incoming/` holds what is being written, `00/` to `ff/` what is committed.

    A blob that is being read when it is deleted stays until its last reader is done (or the next sweep after a crash);
    while somebody holds the store, every deleted blob stays.
    """

    def __init__(self, folder: Path, damaged: Damages = unheard) -> None:
        """`damaged` hears of each blob that is found not to be what was written, before whoever reads it does."""
        self._folder = folder
        self._incoming = folder / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
        for shard in range(256):
            (folder / f"{shard:02x}").mkdir(exist_ok=True, mode=0o700)
        for parent in (folder, folder.parent):
            _sync_folder(parent)
        self._freeing = Freeing()
        self._pins = Pins(lambda blob: self._freeing.unlink(self._file(blob)))
        self._seen = Seen()
        self._damaged = damaged

    def writer(self) -> Writer:
        return _FileWriter(self._incoming, self._file, self._seen)

    def read(self, blob: str, offset: int = 0, length: int | None = None) -> FileBody:
        """Raises FileNotFoundError at once when there is no such blob; a later delete does not disturb the reading.
        Raises Damaged, at once or from a piece, where the file is not what was written."""
        file = self._file(blob)
        self._pins.add(blob)
        try:
            left = _left(blob, file.stat().st_size, offset, length)
        except BaseException as error:
            self._pins.drop(blob)
            if isinstance(error, Damaged):
                self._damaged(blob, str(error))
            raise
        return _Reading(file, offset, left, self._seen, lambda: self._pins.drop(blob), self._damaged)

    def path(self, blob: str) -> str | None:
        return str(self._file(blob))

    def url(self, blob: str, seconds: int) -> None:
        return None

    def lend(self, md5: str, seconds: int) -> None:
        return None

    def arrived(self, blob: str, size: int, md5: str) -> bool:
        return False

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
        if not blobs.NAME.fullmatch(blob):
            raise FileNotFoundError(f"no blob is named {blob!r}")
        return self._folder / blob[:2] / blob


def _left(blob: str, file_size: int, offset: int, length: int | None) -> int:
    """How many bytes there are to read. Raises Damaged when the file cannot hold them."""
    size = blobs.size_of(blob, file_size)
    if length is None:
        return max(0, size - offset)
    if offset + length > size:
        raise Damaged(f"its file has {size} bytes")
    return length


class _Reading:
    """The pieces of a blob. The file is opened by the first `next`, so that an object of 10,000 parts costs no 10,000
    descriptors."""

    def __init__(
        self, path: Path, offset: int, left: int, seen: Seen, done: Callable[[], None], damaged: Damages
    ) -> None:
        self._path = path
        self._offset = offset
        self._left = self.size = left
        self._seen = seen
        self._done: Callable[[], None] | None = done
        self._damaged = damaged
        self._file: blobs.BlobFile | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._left <= 0 or self._done is None:
            self.close()
            raise StopIteration
        try:
            if self._file is None:
                self._file = blobs.BlobFile(str(self._path))
            piece = self._file.read(self._offset, self._left)
        except Damaged as error:
            self.close()
            self._damaged(self._path.name, str(error))
            raise
        self._offset += len(piece)
        self._left -= len(piece)
        return piece

    def extents(self) -> Iterator[Extent]:
        if self._left > 0 and self._done is not None:
            path, first = str(self._path), self._offset // blobs.BLOCK
            end = (self._offset + self._left - 1) // blobs.BLOCK + 1
            now = seen.generation(path)
            right = self._seen.run(self._path.name, now, first, end) == end - first
            yield Extent(path, self._offset, self._left, now if right else None)
        self.close()

    def close(self) -> None:
        """Ends the reading; a second call changes nothing."""
        if self._file is not None:
            self._file.close()
        done, self._done = self._done, None
        if done is not None:
            done()

    def __del__(self) -> None:
        self.close()


class _FileWriter:
    def __init__(self, incoming: Path, place: Callable[[str], Path], seen: Seen) -> None:
        self._name = f"{secrets.token_hex(16)}c"
        self._place = place
        self._seen = seen
        self._checksums = blobs.Checksums(self._name)
        self._temporary = incoming / self._name
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor = os.open(self._temporary, flags, stat.S_IRUSR | stat.S_IWUSR)
        self._landing = False  # the bytes come by themselves
        self._begun = 0  # up to where the kernel has begun to write to the disk
        self._unsynced = 0  # bytes behind that

    def write(self, data: bytes) -> None:
        view = memoryview(b"" if self._landing else data)
        self._checksums.update(data)
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
            size = self._end()
            os.fsync(self._descriptor)
            self._temporary.rename(file)
            if size > blobs.AT_ONCE:  # smaller ones pass through here whenever they are read
                self._seen.trust(self._name, seen.generation(self._descriptor), 0, -(-size // blobs.BLOCK))
            _sync_folder(file.parent)
        except OSError:
            file.unlink(missing_ok=True)
            self.abort()
            raise
        self._close()
        return self._name

    def _end(self) -> int:
        """Writes what comes behind the bytes; how many these are."""
        size, data = self._checksums.finish()
        view, at = memoryview(data), size
        while view:
            count = os.pwrite(self._descriptor, view, at)
            view, at = view[count:], at + count
        return size

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
