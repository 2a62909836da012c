"""Object bytes behind S3. The index (names, versions, metadata) lives in SQL; this is only where the bytes are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import chain
from typing import NamedTuple, Protocol, runtime_checkable

from clary.errors import ServiceError
from clary.objects.seen import Generation
from clary.wire.messages import Body

Known = Callable[[Sequence[str]], Collection[str]]  # those of the blobs' names that something still needs


class Unavailable(ServiceError):
    """The store does not answer now. Clients try again; `str` says what was the matter, which they are not told."""

    def __init__(self, what: str) -> None:
        super().__init__("ServiceUnavailable", "The store of the objects' bytes does not answer. Try again.", 503)
        self.args = (what,)


class Lost(OSError):
    """The store does not have a blob that nobody deleted."""


class Writer(Protocol):
    """One blob being written. Nothing is readable before `commit`; `abort` (or losing it) leaves nothing behind that a
    sweep does not remove."""

    def write(self, data: bytes) -> None: ...

    def land(self, body: Body) -> None:
        """Everything read from `body` so far has been written, and everything that is written from here on will have
        been read from it: where both can, its bytes come into the blob by themselves."""
        ...

    def commit(self) -> str:
        """Makes the bytes durable (fsync of file and folder, or another store's word) and returns the blob's name, new
        and never reused."""
        ...

    def abort(self) -> None: ...


class Extent(NamedTuple):
    """`length` bytes of a blob's local file (`clary.objects.blobs`), from `offset` on. `right` is the file as it was a
    moment ago, when all of these bytes were right (see `clary.objects.seen`); None when that is not known."""

    path: str
    offset: int
    length: int
    right: Generation | None


class Reading(Protocol):
    """The pieces of some bytes, read once."""

    def __iter__(self) -> Iterator[bytes]: ...

    def __next__(self) -> bytes: ...

    @property
    def size(self) -> int:
        """Of all the pieces together, in bytes. To be asked before the first one; another store may have to be asked
        too, and raises what that raises."""
        ...

    def close(self) -> None:
        """Ends the reading; a second call changes nothing."""
        ...


@runtime_checkable
class FileBody(Reading, Protocol):
    """Bytes that are in local files, so that they can be sent without being read: either the pieces or the extents are
    to be asked for. A file stays where it is until the next extent is asked for, or `close`."""

    def extents(self) -> Iterator[Extent]: ...


class ObjectStore(Protocol):
    """Contract (tests: clary.testing.objects_conformance): a committed blob is immutable, survives power loss and reads
    back byte for byte, or raises `clary.objects.damage.Damaged`; a full disk raises OSError(ENOSPC) and leaves no
    trace. A store on other machines raises Unavailable, and leaves no trace that a sweep does not remove."""

    def writer(self) -> Writer: ...

    def read(self, blob: str, offset: int = 0, length: int | None = None) -> Reading:
        """The pieces; a `FileBody` where blobs are local files. Raises FileNotFoundError at once when the blob was
        deleted; once this returned, a delete does not disturb the reading. Nothing is opened before the first piece is
        asked for: a store on other machines raises Lost and Unavailable then."""
        ...

    def path(self, blob: str) -> str | None:
        """A local file that begins with the very bytes, None when there is none."""
        ...

    def url(self, blob: str, seconds: int) -> str | None:
        """Where whoever has the address reads the very bytes for so long, None when there is no such place."""
        ...

    def lend(self, md5: str, seconds: int) -> Lent | None:
        """An address, good for so long, for a blob that another process writes; `md5` (hexadecimal) is that of its
        bytes. None when there is no such place. A sweep takes what came there, unless `known` knows its name."""
        ...

    def arrived(self, blob: str, size: int, md5: str) -> bool:
        """Whether these bytes came under the name that was lent for them, by what the store says itself."""
        ...

    def delete(self, blob: str) -> None:
        """Unknown names are fine. The room is free a little later."""
        ...

    def hold(self) -> AbstractContextManager[None]:
        """Blobs that are deleted meanwhile keep their bytes until the last hold is over."""
        ...

    def sweep(self, known: Known, grace: float) -> int:
        """Deletes what crashes left behind and is older than `grace` seconds: unfinished writes, and blobs of which
        `known` (asked about many at once) does not return the name. Returns how many went."""
        ...

    def close(self) -> None:
        """Ends what is done in the background; what is left of it is the next sweep's."""
        ...


class Lent(NamedTuple):
    """A blob's name, new and never used again, and the address at which whoever has it writes the blob, once: by PUT
    with the headers Content-MD5, of the very bytes, and `If-None-Match: *`."""

    blob: str
    url: str


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
