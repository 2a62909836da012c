"""Bodies that prove themselves while they are read. Each has `length` (decoded bytes, None when not declared) and
`trailers` (lower-cased names; filled when the end was reached). The read that reaches the end raises when the proof
fails, so whoever commits only after b"" or the last declared byte commits nothing forged."""

from __future__ import annotations

import hashlib
from typing import Protocol

from clary.errors import ServiceError
from clary.wire.messages import Body, land


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
