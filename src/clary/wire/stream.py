"""The aws-chunked framing that S3 clients put around a body, without any cryptography.

A chunk is `size-in-hex[;extension=value]* CRLF data CRLF`; a chunk of size 0 ends the data, trailers `name:value CRLF`
follow it, then an empty line. Whoever verifies chunk signatures reads headers and pieces here and hashes them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from clary.errors import ServiceError
from clary.wire.messages import Body

_LINE_LIMIT = 8 * 1024
_TRAILER_LIMIT = 64
_PIECE = 64 * 1024
_HEX = frozenset("0123456789abcdefABCDEF")


@dataclass(frozen=True, slots=True)
class ChunkHeader:
    """`size` in bytes; `extensions` by name, e.g. `chunk-signature`."""

    size: int
    extensions: dict[str, str] = field(default_factory=dict)


class ChunkedReader:
    """Decodes incrementally: `header()`, then `data()` until b"", again until a header of size 0, then `trailers()`.

    Every method raises ServiceError("IncompleteBody") when the body ends early and ServiceError("InvalidRequest") when
    the framing is broken. Calling them in another order is a mistake of the caller.
    """

    def __init__(self, body: Body) -> None:
        self._body = body
        self._buffer = b""
        self._left = 0

    def header(self) -> ChunkHeader:
        """The next chunk's header; the data of the chunk before must have been read to its end."""
        size, *extensions = self._line().split(";")
        size = size.strip()
        if not size or len(size) > 16 or not _HEX.issuperset(size):
            raise _broken("The chunk size is not a hexadecimal number.")
        self._left = int(size, 16)
        pairs = (each.partition("=") for each in extensions)
        return ChunkHeader(self._left, {name.strip(): value.strip() for name, _, value in pairs})

    def data(self, size: int = _PIECE) -> bytes:
        """At most `size` bytes of the current chunk; b"" at its end."""
        if self._left == 0:
            return b""
        if not self._buffer:
            self._fill(min(size, self._left + 2))
        piece = self._buffer[: min(size, self._left)]
        self._buffer = self._buffer[len(piece) :]
        self._left -= len(piece)
        if self._left == 0 and self._line() != "":
            raise _broken("A chunk is longer than its header says.")
        return piece

    def trailers(self) -> list[tuple[str, str]]:
        """After the chunk of size 0: the trailers in order, names lower-cased, up to the end of the body."""
        found: list[tuple[str, str]] = []
        while (line := self._line(may_end=True)) != "":
            name, colon, value = line.partition(":")
            if not colon or len(found) == _TRAILER_LIMIT:
                raise _broken("The trailers are not well formed.")
            found.append((name.strip().lower(), value.strip()))
        while rest := self._buffer or self._body.read(_PIECE):
            # Some clients end with one empty line more; anything else does not belong here.
            if rest.strip(b"\r\n"):
                raise _broken("There is data after the last chunk.")
            self._buffer = b""
        return found

    def _line(self, may_end: bool = False) -> str:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _LINE_LIMIT:
                raise _broken("A line of the chunk framing is too long.")
            more = self._body.read(_LINE_LIMIT)
            if not more:
                if may_end and not self._buffer.strip():
                    return ""
                raise _incomplete()
            self._buffer += more
        line, self._buffer = self._buffer[:end], self._buffer[end + 1 :]
        return line.removesuffix(b"\r").decode("latin-1")

    def _fill(self, size: int) -> None:
        self._buffer = self._body.read(size)
        if not self._buffer:
            raise _incomplete()


def _incomplete() -> ServiceError:
    message = "You did not provide the number of bytes specified by the Content-Length HTTP header"
    return ServiceError("IncompleteBody", message)


def _broken(message: str) -> ServiceError:
    return ServiceError("InvalidRequest", message)
