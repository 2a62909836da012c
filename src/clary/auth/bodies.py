"""Bodies that prove themselves while they are read. Each has `length` (decoded bytes, None when not declared) and
`trailers` (lower-cased names; filled when the end was reached). The read that reaches the end raises when the proof
fails, so whoever commits only after b"" or the last declared byte commits nothing forged."""

from __future__ import annotations

import hashlib
from typing import Protocol

from clary.errors import ServiceError
from clary.wire.messages import Body, land

_PIECE = 1024 * 1024


class VerifiedBody(Body, Protocol):
    """A body that has passed the gate."""

    @property
    def trailers(self) -> dict[str, str]: ...


class PlainBody:
    """A body that its sender chose not to sign (UNSIGNED-PAYLOAD, presigned URLs, anonymous requests)."""

    def __init__(self, source: Body) -> None:
        self._source = source
        self.length = source.length
        self.trailers: dict[str, str] = {}

    def read(self, size: int = -1, /) -> bytes:
        return self._source.read(size)

    def land(self, path: str, descriptor: int) -> bool:
        return land(self._source, path, descriptor)


class HashedBody:
    """A body whose SHA-256 (hexadecimal) its sender signed."""

    def __init__(self, source: Body, declared: str) -> None:
        self._source = source
        self._declared = declared
        self._hash = hashlib.sha256()
        self._seen = 0
        self._ended = False
        self.length = source.length
        self.trailers: dict[str, str] = {}
        if self.length == 0:
            self._end()

    def read(self, size: int = -1, /) -> bytes:
        if size == 0 or self._ended:
            return b""
        data = self._source.read(size)
        self._hash.update(data)
        self._seen += len(data)
        if not data or size < 0 or self._seen == self.length:
            self._end()
        return data

    def land(self, path: str, descriptor: int) -> bool:
        return land(self._source, path, descriptor)

    def _end(self) -> None:
        computed = self._hash.hexdigest()
        if computed != self._declared:
            members = {"ClientComputedContentSHA256": self._declared, "S3ComputedContentSHA256": computed}
            message = "The provided 'x-amz-content-sha256' header does not match what was computed."
            raise ServiceError("XAmzContentSHA256Mismatch", message, 400, members)
        self._ended = True


class SizedBody:
    """A file of which its sender's policy says how many bytes it may have: `least` to `most`."""

    length: int | None = None

    def __init__(self, source: Body, least: int, most: int) -> None:
        self._source = source
        self._least = least
        self._most = most
        self._seen = 0
        self.trailers: dict[str, str] = {}

    def read(self, size: int = -1, /) -> bytes:
        data = self._source.read(size)
        self._seen += len(data)
        if self._seen > self._most:
            self._count()
            raise self._refused("EntityTooLarge", "exceeds the maximum", "MaxSizeAllowed", self._most)
        ended = size < 0 or (size > 0 and not data)
        if ended and self._seen < self._least:
            raise self._refused("EntityTooSmall", "is smaller than the minimum", "MinSizeAllowed", self._least)
        return data

    def _count(self) -> None:
        """What still comes, for the answer: a client that has not sent all reads none."""
        while data := self._source.read(_PIECE):
            self._seen += len(data)

    def _refused(self, code: str, relation: str, member: str, bound: int) -> ServiceError:
        members = {"ProposedSize": self._seen, member: bound}
        return ServiceError(code, f"Your proposed upload {relation} allowed size", 400, members)
