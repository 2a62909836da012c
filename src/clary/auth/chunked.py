"""The aws-chunked framing of S3 uploads, with and without a signature on each chunk and on the trailers.

Chunks: size in hexadecimal, optionally ;chunk-signature=<64 hex>, CRLF, data, CRLF. The last one has size 0 and no data.
Then trailers, name:value CRLF each, and a CRLF that ends it all.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from clary.auth import refusals
from clary.auth.sigv4 import EMPTY_HASH
from clary.errors import ServiceError
from clary.wire.messages import Body

_LONGEST_LINE = 16 * 1024
_MOST_TRAILERS = 32
_PIECE = 256 * 1024


@dataclass(slots=True)
class ChunkSignatures:
    """The chain of signatures: each one covers the one before it, the first (`previous`) is the head's."""

    key: bytes
    stamp: str
    scope: str
    previous: str
    access_key: str = ""

    def check_chunk(self, signature: str, digest: str) -> None:
        """Raises ServiceError when `signature` is not that of a chunk whose SHA-256 is `digest`."""
        self._check("AWS4-HMAC-SHA256-PAYLOAD", signature, f"{EMPTY_HASH}\n{digest}")

    def check_trailers(self, signature: str, lines: bytes) -> None:
        """`lines` are the trailers as they are signed: name:value and a newline each."""
        self._check("AWS4-HMAC-SHA256-TRAILER", signature, hashlib.sha256(lines).hexdigest())

    def _check(self, algorithm: str, signature: str, what: str) -> None:
        text = f"{algorithm}\n{self.stamp}\n{self.scope}\n{self.previous}\n{what}".encode("latin-1")
        wanted = hmac.digest(self.key, text, "sha256").hex()
        if not hmac.compare_digest(wanted.encode(), signature.encode("latin-1")):
            raise refusals.mismatch("s3", self.access_key, signature, b"", text)
        self.previous = wanted


class ChunkedBody:
    """`source`, decoded. `length` is the decoded length that its sender declared; `announced` the trailers promised in
    the head (lower case); `signatures` is None where chunks are not signed."""

    def __init__(
        self, source: Body, length: int, announced: frozenset[str], signatures: ChunkSignatures | None
    ) -> None:
        self._source = source
        self._announced = announced
        self._signatures = signatures
        self._buffer = bytearray()
        self._hash = hashlib.sha256()
        self._signature = ""
        self._left = 0  # bytes of the current chunk not yet handed out
        self._in_chunk = False
        self._ended = False
        self._seen = 0
        self.length: int | None = length
        self.trailers: dict[str, str] = {}

    def read(self, size: int = -1, /) -> bytes:
        if size == 0:
            return b""
        pieces: list[bytes] = []
        wanted = size
        while not self._ended and wanted != 0:
            if not self._in_chunk:
                self._open_chunk()
                continue
            data = self._data(wanted)
            pieces.append(data)
            if size > 0:
                wanted -= len(data)
        # The last byte of the last chunk is handed out only with its proof.
        if not self._ended and self._seen == self.length:
            self._open_chunk()
        return b"".join(pieces)

    def _open_chunk(self) -> None:
        size_text, _, extension = self._line().partition(b";")
        try:
            size = int(size_text, 16) if size_text.isalnum() and len(size_text) <= 16 else -1
        except ValueError:
            size = -1
        if size < 0:
            raise _incomplete()
        name, _, value = extension.partition(b"=")
        self._signature = value.decode("latin-1").strip() if name.strip() == b"chunk-signature" else ""
        self._hash = hashlib.sha256()
        if self._seen + size > (self.length or 0):
            raise _incomplete()
        self._left = size
        self._in_chunk = size > 0
        if size == 0:
            self._end()

    def _data(self, wanted: int) -> bytes:
        """Some bytes of the current chunk; at its end, after its signature was checked."""
        most = min(self._left, _PIECE) if wanted < 0 else min(self._left, wanted, _PIECE)
        if not self._buffer:
            self._fill(most)
        data = bytes(self._buffer[:most])
        del self._buffer[: len(data)]
        self._left -= len(data)
        self._seen += len(data)
        if self._signatures is not None:
            self._hash.update(data)
        if self._left == 0:
            self._in_chunk = False
            self._check_chunk()
            if self._line():
                raise _incomplete()
        return data

    def _check_chunk(self) -> None:
        if self._signatures is not None:
            self._signatures.check_chunk(self._signature, self._hash.hexdigest())

    def _end(self) -> None:
        self._check_chunk()
        lines: list[tuple[str, str]] = []
        while line := self._line():
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon or len(lines) >= _MOST_TRAILERS:
                raise _malformed_trailer()
            lines.append((name.strip().lower(), value.strip()))
        self._check_trailers(lines)
        if self._seen != self.length or self._buffer or self._source.read(1):
            raise _incomplete()
        self._ended = True

    def _check_trailers(self, lines: list[tuple[str, str]]) -> None:
        signature = ""
        if self._signatures is not None and lines and lines[-1][0] == "x-amz-trailer-signature":
            signature = lines.pop()[1]
        found = dict(lines)
        if len(found) != len(lines) or found.keys() != self._announced:
            raise _malformed_trailer()
        if self._signatures is not None and self._announced:
            signed = "".join(f"{name}:{value}\n" for name, value in sorted(lines))
            self._signatures.check_trailers(signature, signed.encode("latin-1"))
        self.trailers.update(found)

    def _line(self) -> bytes:
        """Up to CR LF, without it."""
        searched = 0
        while (end := self._buffer.find(b"\r\n", max(0, searched - 1))) < 0:
            searched = len(self._buffer)
            if searched > _LONGEST_LINE:
                raise _incomplete()
            self._fill(_PIECE)
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _fill(self, size: int) -> None:
        data = self._source.read(size)
        if not data:
            raise _incomplete()
        self._buffer += data


def _incomplete() -> ServiceError:
    return ServiceError("IncompleteBody", "The request body terminated unexpectedly", 400)


def _malformed_trailer() -> ServiceError:
    message = "The request contained trailing data that was not well-formed or did not conform to our published schema."
    return ServiceError("MalformedTrailerError", message, 400)
