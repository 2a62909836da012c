"""Object bytes behind S3. The index (names, versions, metadata) lives in SQL; this is only where the bytes are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from clary.wire.messages import Body


class Writer(Protocol):
    """One blob being written. Nothing is readable before `commit`; `abort` (or losing it) leaves nothing behind that a
    sweep does not remove."""

    def write(self, data: bytes) -> None: ...

    def commit(self) -> str:
        """Makes the bytes durable (fsync of file and folder) and returns the blob's name, new and never reused."""
        ...

    def abort(self) -> None: ...


class ObjectStore(Protocol):
    """Contract (tests: clary.testing.objects_conformance): a committed blob is immutable, survives power loss and reads
    back byte for byte; a full disk raises OSError(ENOSPC) and leaves no trace."""

    def writer(self) -> Writer: ...

    def read(self, blob: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]: ...

    def path(self, blob: str) -> str | None:
        """A local path to the very bytes, None when there is none (remote or encrypted)."""
        ...

    def delete(self, blob: str) -> None: ...


def copy(body: Body, writer: Writer, piece: int = 1 << 20) -> int:
    """Streams `body` into `writer`; returns the number of bytes."""
    total = 0
    while data := body.read(piece):
        writer.write(data)
        total += len(data)
    return total
