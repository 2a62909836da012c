"""How much a layer of an image unpacks to, counted as its bytes go by.

Engines tell the compression by the first bytes, whatever the manifest says, and so is it told here. gzip, bzip2 and xz
are unpacked for it, a little at a time. zstd, which Python's own library cannot unpack, is walked from block to block:
what comes of a compressed block is not known without unpacking it, but at most 128 KiB, and where a frame says how long
it is, at most that. So of zstd it is a bound, which may be more than what comes out. Any other layer is as long as it
is.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import Protocol

_PIECE = 1 << 18  # bytes that are unpacked at once
_XZ_MEMORY = 256 * 1024**2  # bytes that an xz stream may want for its dictionary
_LONGEST_MAGIC = 6
_MOST_PARTS = 500_000  # streams, members or blocks of a layer: each costs a step, be it of a few bytes


class CannotCount(Exception):
    """The layer is not what its first bytes say; the message says how."""


class Counting(Protocol):
    """Of one layer. `size` is what the bytes so far unpack to."""

    size: int

    def feed(self, data: bytes) -> None:
        """Raises CannotCount."""


class Layer:
    """Implements Counting for a layer of any compression."""

    def __init__(self) -> None:
        self._head = b""
        self._counting: Counting | None = None

    @property
    def size(self) -> int:
        return len(self._head) if self._counting is None else self._counting.size

    def feed(self, data: bytes) -> None:
        if self._counting is None:
            self._head += data
            if len(self._head) < _LONGEST_MAGIC:  # a layer that ends here is no archive of any kind
                return
            self._counting, data = _counting(self._head), self._head
        try:
            self._counting.feed(data)
        except (zlib.error, OSError, lzma.LZMAError, EOFError) as error:
            raise CannotCount(str(error)) from error


def _one_more(parts: int) -> int:
    if parts >= _MOST_PARTS:
        raise CannotCount(f"it has more than {_MOST_PARTS} parts")
    return parts + 1


def _counting(head: bytes) -> Counting:
    if head.startswith(b"\x1f\x8b"):
        return _Gzip()
    if head.startswith(b"BZh"):
        return _Streams(bz2.BZ2Decompressor)
    if head.startswith(b"\xfd7zXZ\0"):
        return _Streams(lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY))
    if _is_frame(head):
        return _Zstd()
    return _Plain()


class _Plain:
    def __init__(self) -> None:
        self.size = 0

    def feed(self, data: bytes) -> None:
        self.size += len(data)


class _Gzip:
    """Members, one after the other."""

    def __init__(self) -> None:
        self.size = 0
        self._parts = 1
        self._member = zlib.decompressobj(31)

    def feed(self, data: bytes) -> None:
        while data:
            if self._member.eof:
                self._parts = _one_more(self._parts)
                self._member = zlib.decompressobj(31)
            self.size += len(self._member.decompress(data, _PIECE))
            data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _New(Protocol):
    def __call__(self) -> _Decompressor: ...


class _Streams:
    """Of bzip2 or xz, one after the other."""

    def __init__(self, new: _New) -> None:
        self.size = 0
        self._parts = 1
        self._new = new
        self._stream = new()

    def feed(self, data: bytes) -> None:
        while data or not (self._stream.needs_input or self._stream.eof):
            if self._stream.eof:
                self._parts = _one_more(self._parts)
                self._stream = self._new()
            self.size += len(self._stream.decompress(data, _PIECE))
            data = self._stream.unused_data if self._stream.eof else b""


_FRAME = 0xFD2FB528
_SKIPPABLE = 0x184D2A50  # and the fifteen after it
_MOST_OF_A_BLOCK = 128 * 1024
_LENGTHS_OF_SIZES = (0, 2, 4, 8)
_LENGTHS_OF_DICTIONARIES = (0, 1, 2, 4)


def _is_frame(head: bytes | bytearray) -> bool:
    magic = int.from_bytes(head[:4], "little")
    return magic == _FRAME or magic & ~0xF == _SKIPPABLE


class _Zstd:
    """RFC 8878: frames of blocks. `_step` reads one header and says how many bytes follow that need no look."""

    def __init__(self) -> None:
        self.size = 0
        self._held = bytearray()
        self._skip = 0
        self._step = self._frame
        self._before = 0  # size where the frame began
        self._stated = -1  # how long it says it is
        self._checksum = 0
        self._parts = 0

    def feed(self, data: bytes) -> None:
        at = min(self._skip, len(data))
        self._skip -= at
        self._held += memoryview(data)[at:]
        while self._held and not self._skip:
            used = self._step()
            if not used:
                return
            self._skip += max(used - len(self._held), 0)
            del self._held[:used]

    def _frame(self) -> int:
        """A frame's header; 0 where it is not whole yet. Bytes are those of header and what is to be skipped."""
        if len(self._held) < 8:
            return 0
        if not _is_frame(self._held):
            raise CannotCount("what follows a frame of zstd is none")
        if int.from_bytes(self._held[:4], "little") != _FRAME:
            return 8 + int.from_bytes(self._held[4:8], "little")
        about = self._held[4]
        alone = about >> 5 & 1
        before = 5 + (1 - alone) + _LENGTHS_OF_DICTIONARIES[about & 3]
        length = _LENGTHS_OF_SIZES[about >> 6] or alone
        if len(self._held) < before + length:
            return 0
        stated = int.from_bytes(self._held[before : before + length], "little") + (256 if length == 2 else 0)
        self._stated = stated if length else -1
        self._before, self._checksum, self._step = self.size, 4 * (about >> 2 & 1), self._block
        return before + length

    def _block(self) -> int:
        if len(self._held) < 3:
            return 0
        self._parts = _one_more(self._parts)
        header = int.from_bytes(self._held[:3], "little")
        last, kind, size = header & 1, header >> 1 & 3, header >> 3
        if kind == 3:
            raise CannotCount("a block of zstd is of no known kind")
        self.size += _MOST_OF_A_BLOCK if kind == 2 else size
        if self._stated >= 0:
            self.size = min(self.size, self._before + self._stated)
        if last:
            self._step = self._frame
        return 3 + (1 if kind == 1 else size) + (self._checksum if last else 0)
