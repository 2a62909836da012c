"""The file of a blob: its bytes, and behind them what shows that they are those that were written.

    bytes | CRC32 of each 64 KiB of them | "CLB1", how many bytes, CRC32 of this footer    (numbers are big-endian)

Each CRC32 begins with one of the blob's name and the block's number, so that a block in another's place, or a
file under another's name, does not fit. A reader of any part reads the blocks that the part is in, and their checksums.

It finds accidents: somebody who means to can make checksums that fit. Blobs whose names are only 32 digits are of
a release that had no checksums; their files are the bytes alone.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from pathlib import PurePath

from clary.objects.damage import Damaged
from clary.objects.seen import Seen, generation

BLOCK = 64 * 1024
NAME = re.compile(r"[0-9a-f]{32}c?")
_RUN = 4  # blocks that are read at once
AT_ONCE = _RUN * BLOCK
_EARLIER = 32  # the length of names without the letter that says that there are checksums
_SUM = struct.Struct("!I")
_FOOTER = struct.Struct("!4sQI")
_MAGIC = b"CLB1"
_IN_FOOTER = -1  # in place of a block's number
_TABLE = 1024  # checksums that are held at once: of 64 MiB


def has_checksums(name: str) -> bool:
    return len(name) > _EARLIER


def size_of(name: str, length: int) -> int:
    """How many bytes are in the file of a blob, if the file has `length`. Raises Damaged when it cannot be whole."""
    if not has_checksums(name):
        return length
    framed = length - _FOOTER.size
    blocks = -(-framed // (BLOCK + _SUM.size))
    size = framed - blocks * _SUM.size
    if framed < 0 or _blocks(size) != blocks:
        raise Damaged("its file is cut off")
    return size


class Checksums:
    """Those of a blob that is being written: `update` with its bytes in their order, in pieces of any size."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._table = bytearray()
        self._size = 0
        self._sum = _seed(name, 0)

    def update(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            piece = view[: BLOCK - self._size % BLOCK]
            self._sum = zlib.crc32(piece, self._sum)
            self._size += len(piece)
            view = view[len(piece) :]
            if self._size % BLOCK == 0:
                self._end_block()

    def finish(self) -> tuple[int, bytes]:
        """(how many bytes came, what the file has behind them)"""
        if self._size % BLOCK:
            self._end_block()
        return self._size, bytes(self._table) + _footer(self._name, self._size)

    def _end_block(self) -> None:
        self._table += _SUM.pack(self._sum)
        self._sum = _seed(self._name, len(self._table) // _SUM.size)


class BlobFile:
    """A blob's file, open to be read. Nothing is given out, or said to be right, that was not verified: every method
    raises Damaged where the file is not what was written, and OSError. `seen` remembers for others what was right."""

    def __init__(self, path: str, seen: Seen | None = None) -> None:
        """Raises OSError; FileNotFoundError when there is none."""
        self.descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        self.name = PurePath(path).name
        self._seen = seen
        self._size = -1  # not looked at yet
        self._table = b""
        self._begin = 0  # the block of the table's first checksum

    @property
    def size(self) -> int:
        """How many bytes the blob has."""
        if self._size < 0:
            length = os.fstat(self.descriptor).st_size
            size = size_of(self.name, length)
            if has_checksums(self.name):
                footer = os.pread(self.descriptor, _FOOTER.size, length - _FOOTER.size)
                if footer != _footer(self.name, size):
                    raise Damaged("the end of its file is not what was written")
            self._size = size
        return self._size

    def read(self, at: int, most: int) -> bytes:
        """One to `most` bytes from `at` on; fewer where that is less work."""
        if at + most > self.size:
            raise Damaged(f"its file has {self.size} bytes")
        if not has_checksums(self.name):
            return self._exactly(min(most, AT_ONCE), at)
        first = at // BLOCK
        data = self._verified(first, min(first + _RUN, (at + most - 1) // BLOCK + 1))
        begin = at - first * BLOCK
        return data[begin : begin + most] if begin or len(data) > most else data

    def verify(self, at: int, most: int) -> int:
        """How many of the `most` bytes from `at` on, at least one, may be sent by who does not look at them: they were
        verified just now, or a moment ago and the file has not been changed since (see `Seen`)."""
        if not has_checksums(self.name):
            return most
        now, first, end = generation(self.descriptor), at // BLOCK, (at + most - 1) // BLOCK + 1
        right = self._seen.run(self.name, now, first, end) if self._seen else 0
        if not right:
            if at + most > self.size:
                raise Damaged(f"its file has {self.size} bytes")
            right = min(_RUN, end - first)
            self._verified(first, first + right)
            if self._seen:
                self._seen.note(self.name, now, first, first + right)
        return min((first + right) * BLOCK, at + most) - at

    def close(self) -> None:
        """A second call changes nothing."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _verified(self, first: int, end: int) -> bytes:
        """The blocks from `first` to before `end`."""
        begin = first * BLOCK
        data = self._exactly(min(end * BLOCK, self.size) - begin, begin)
        view = memoryview(data)
        for number in range(first, end):
            block = view[number * BLOCK - begin : (number + 1) * BLOCK - begin]
            if zlib.crc32(block, _seed(self.name, number)) != self._checksum(number):
                raise Damaged(f"its bytes from {number * BLOCK} on are not what was written")
        return data

    def _checksum(self, number: int) -> int:
        if not self._begin <= number < self._begin + len(self._table) // _SUM.size:
            count = min(_TABLE, _blocks(self.size) - number)
            self._table = self._exactly(count * _SUM.size, self.size + number * _SUM.size)
            self._begin = number
        return int(_SUM.unpack_from(self._table, (number - self._begin) * _SUM.size)[0])

    def _exactly(self, count: int, at: int) -> bytes:
        data = os.pread(self.descriptor, count, at)
        while len(data) < count:
            more = os.pread(self.descriptor, count - len(data), at + len(data))
            if not more:
                raise Damaged("its file is cut off")
            data += more
        return data


def _blocks(size: int) -> int:
    return -(-size // BLOCK)


def _seed(name: str, number: int) -> int:
    """What a checksum begins with."""
    return zlib.crc32(f"{name} {number}".encode())


def _footer(name: str, size: int) -> bytes:
    checksum = zlib.crc32(_MAGIC + size.to_bytes(8, "big"), _seed(name, _IN_FOOTER))
    return _FOOTER.pack(_MAGIC, size, checksum)
