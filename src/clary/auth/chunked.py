"""Bodies in S3's aws-chunked framing: with trailers, and with a signature on each chunk and on the trailers."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from clary.auth import refusals
from clary.auth.sigv4 import EMPTY_HASH
from clary.errors import ServiceError
from clary.wire.messages import Body
from clary.wire.stream import ChunkedReader, ChunkHeader

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
        self._chunks = ChunkedReader(source)
        self._announced = announced
        self._signatures = signatures
        self._hash = hashlib.sha256()
        self._chunk = ChunkHeader(0)
        self._left = 0  # bytes of the current chunk not yet handed out
        self._seen = 0
        self._ended = False
        self.length: int | None = length
        self.trailers: dict[str, str] = {}

    def read(self, size: int = -1, /) -> bytes:
        pieces: list[bytes] = []
        wanted = size
        while not self._ended and wanted != 0:
            if self._left == 0:
                self._open_chunk()
                continue
            data = self._data(min(wanted, _PIECE) if wanted > 0 else _PIECE)
            pieces.append(data)
            if size > 0:
                wanted -= len(data)
        # The last declared byte is handed out only together with the proof of the whole.
        if size != 0 and self._left == 0 and self._seen == self.length and not self._ended:
            self._open_chunk()
        return b"".join(pieces)

    def _open_chunk(self) -> None:
        self._chunk = self._chunks.header()
        self._hash = hashlib.sha256()
        self._left = self._chunk.size
        if self.length is None or self._seen + self._left > self.length:
            raise _incomplete()
        if self._left == 0:
            self._end()

    def _data(self, size: int) -> bytes:
        """Some bytes of the current chunk; with its last ones, its signature is checked."""
        data = self._chunks.data(size)
        self._left -= len(data)
        self._seen += len(data)
        if self._signatures is not None:
            self._hash.update(data)
        if self._left == 0:
            self._check_chunk()
        return data

    def _check_chunk(self) -> None:
        if self._signatures is not None:
            signature = self._chunk.extensions.get("chunk-signature", "")
            self._signatures.check_chunk(signature, self._hash.hexdigest())

    def _end(self) -> None:
        self._check_chunk()
        if self._seen != self.length:
            raise _incomplete()
        self._check_trailers(self._chunks.trailers())
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


def _incomplete() -> ServiceError:
    message = "You did not provide the number of bytes specified by the x-amz-decoded-content-length HTTP header"
    return ServiceError("IncompleteBody", message, 400)


def _malformed_trailer() -> ServiceError:
    message = "The request contained trailing data that was not well-formed or did not conform to our published schema."
    return ServiceError("MalformedTrailerError", message, 400)
