"""Request body framing: where a body ends in the bytes of a connection. Strict, incremental, keeps no body bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from clary.edge.heads import BadRequestError

_LONGEST_LINE = 4096  # a chunk's size line with its extensions
_MOST_TRAILERS = 16 * 1024
_HEX = frozenset(b"0123456789abcdefABCDEF")
_HEX_DIGITS = 15  # below 2**60


# Takes (data, position, pieces), gives the next position, -1 for "needs more", None for the end of the body.
_State = Callable[[bytes, int, list[bytes]], int | None]


class Framing(Protocol):
    """`feed(data)` takes bytes of the connection and returns (body pieces, bytes after the body, whether it ended).
    Bytes after the body are b"" until it ended. Raises BadRequestError on broken framing."""

    def feed(self, data: bytes) -> tuple[list[bytes], bytes, bool]: ...


class Sized:
    """A body of a declared length."""

    __slots__ = ("left",)

    def __init__(self, length: int) -> None:
        self.left = length

    def feed(self, data: bytes) -> tuple[list[bytes], bytes, bool]:
        size = len(data)
        if size < self.left:
            self.left -= size
            return [data], b"", False
        body, rest = (data, b"") if size == self.left else (data[: self.left], data[self.left :])
        self.left = 0
        return [body], rest, True


class Chunked:
    """A chunked body (RFC 9112 §7.1). Extensions and trailers are read over: nothing here acts on them."""

    __slots__ = ("_data", "_left", "_state", "_trailers")

    def __init__(self) -> None:
        self._data = b""  # an incomplete line
        self._left = 0
        self._state: _State = self._size
        self._trailers = 0

    def feed(self, data: bytes) -> tuple[list[bytes], bytes, bool]:
        pieces: list[bytes] = []
        data, self._data, at = (self._data + data if self._data else data), b"", 0
        while True:
            after = self._state(data, at, pieces)
            if after is None:
                return pieces, data[at:], True
            if after < 0:
                self._data = data[at:]
                return pieces, b"", False
            at = after

    def _size(self, data: bytes, at: int, _: list[bytes]) -> int | None:
        end = _line(data, at)
        if end < 0:
            return -1
        digits = data[at:end].partition(b";")[0].rstrip(b" \t")
        if not digits or len(digits) > _HEX_DIGITS or not _HEX.issuperset(digits):
            raise BadRequestError("a chunk's size is malformed")
        self._left = int(digits, 16)
        self._state = self._content if self._left else self._trailer
        return end + 2

    def _content(self, data: bytes, at: int, pieces: list[bytes]) -> int | None:
        piece = data[at : at + self._left]
        if not piece:
            return -1
        pieces.append(piece)
        self._left -= len(piece)
        if not self._left:
            self._state = self._close
        return at + len(piece)

    def _close(self, data: bytes, at: int, _: list[bytes]) -> int | None:
        if len(data) - at < 2:
            return -1
        if data[at : at + 2] != b"\r\n":
            raise BadRequestError("a chunk is longer than its size")
        self._state = self._size
        return at + 2

    def _trailer(self, data: bytes, at: int, _: list[bytes]) -> int | None:
        end = _line(data, at)
        if end < 0:
            return -1
        self._trailers += end - at
        if self._trailers > _MOST_TRAILERS:
            raise BadRequestError("the trailers are too long", 431)
        if end == at:
            self._state = self._done
        return end + 2

    def _done(self, data: bytes, at: int, _: list[bytes]) -> int | None:
        return None


def framing(length: int | None) -> Framing | None:
    """The framing of a body of `length` bytes, None meaning chunked; None when there is no body."""
    if length is None:
        return Chunked()
    return Sized(length) if length else None


def _line(data: bytes, at: int) -> int:
    """Where the line's CRLF begins, -1 when it has not come yet. A bare CR or LF ends no line, it is an error."""
    end = data.find(b"\n", at, at + _LONGEST_LINE + 2)
    if end < 0:
        if len(data) - at > _LONGEST_LINE:
            raise BadRequestError("a chunk's size line is too long")
        return -1
    if end == at or data[end - 1] != 0x0D or data.find(b"\r", at, end - 1) >= 0:
        raise BadRequestError("a line in the chunked body does not end in CRLF")
    return end - 1
