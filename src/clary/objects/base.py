"""Object bytes behind S3. The index (names, versions, metadata) lives in SQL; this is only where the bytes are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Protocol, runtime_checkable

from clary.wire.messages import Body


class Writer(Protocol):
    """One blob being written. Nothing is readable before `commit`; `abort` (or losing it) leaves nothing behind that a
    sweep does not remove."""

    def write(self, data: bytes) -> None: ...

    def land(self, body: Body) -> None:
        """Everything read from `body` so far has been written, and everything that is written from here on will have
        been read from it: where both can, its bytes come into the blob by themselves."""
        ...

    def commit(self) -> str:
        """Makes the bytes durable (fsync of file and folder) and returns the blob's name, new and never reused."""
        ...

    def abort(self) -> None: ...


Extent = tuple[str, int, int]  # the path of a local file, where in it, and how many bytes


@runtime_checkable
class FileBody(Protocol):
    """Pieces of bytes that are in local files too, so that they can be sent without being read: either the pieces or
    the extents are to be asked for. A file stays where it is until the next extent is asked for, or `close`."""

    def __iter__(self) -> Iterator[bytes]: ...

    def __next__(self) -> bytes: ...

    @property
    def size(self) -> int:
        """Of all the pieces together, in bytes."""
        ...

    def extents(self) -> Iterator[Extent]: ...

    def close(self) -> None: ...


class ObjectStore(Protocol):
    """Contract (tests: clary.testing.objects_conformance): a committed blob is immutable, survives power loss and reads
    back byte for byte; a full disk raises OSError(ENOSPC) and leaves no trace."""

    def writer(self) -> Writer: ...

    def read(self, blob: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The pieces; a `FileBody` where blobs are local files."""
        ...

    def path(self, blob: str) -> str | None:
        """A local path to the very bytes, None when there is none (remote or encrypted)."""
        ...

    def delete(self, blob: str) -> None: ...


class Joined:
    """Several file bodies, one after the other, as one."""

    def __init__(self, bodies: Sequence[FileBody]) -> None:
        self._bodies = bodies
        self._pieces = chain.from_iterable(bodies)
        self.size = sum(body.size for body in bodies)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._pieces)

    def extents(self) -> Iterator[Extent]:
        for body in self._bodies:
            yield from body.extents()

    def close(self) -> None:
        for body in self._bodies:
            body.close()


def copy(body: Body, writer: Writer, piece: int = 1 << 20) -> int:
    """Streams `body` into `writer`; returns the number of bytes."""
    total = 0
    while data := body.read(piece):
        writer.write(data)
        total += len(data)
    return total
