"""Layers on their way in. What was acknowledged of one is a durable part; it is whole when its digest is."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.clock import Clock
from clary.registry import layers, repositories
from clary.registry.bytes_at_rest import Bytes, Written
from clary.registry.repositories import Repository, RepositoryGone
from clary.store.engine import Database
from clary.store.registry_schema import parts, uploads
from clary.wire.messages import Body


class NoSuchUpload(LookupError):
    """It was never begun in this repository, or is over."""


class OutOfOrder(Exception):
    """A part begins where the last one did not end; `size` is where that is."""

    def __init__(self, size: int) -> None:
        super().__init__(f"{size} bytes have come")
        self.size = size


class WrongDigest(Exception):
    """The bytes have another digest than was said, which `str` gives."""


_REFUSED = (NoSuchUpload, OutOfOrder, RepositoryGone)


@dataclass(frozen=True, slots=True)
class Upload:
    """`size` bytes of it have come; `touched` is epoch seconds."""

    id: str
    repository: int
    size: int
    touched: float


class Uploads:
    """The uploads of all repositories. Safe between threads, and beside another server on the same database: of two
    parts that come at once for the same place one is refused."""

    def __init__(self, database: Database, kept: Bytes, clock: Clock) -> None:
        """`database` is the one of the object index."""
        self._database = database
        self._kept = kept
        self._clock = clock

    def begin(self, repository: Repository) -> Upload:
        """Raises RepositoryGone."""
        made = Upload(str(uuid.uuid4()), repository.id, 0, self._clock.now())

        def work(connection: Connection) -> None:
            repositories.again(connection, repository)
            connection.execute(uploads.insert().values(**dataclasses.asdict(made)))

        self._database.write(work)
        return made

    def find(self, repository: Repository, upload: str) -> Upload:
        """Raises NoSuchUpload."""
        return self._database.read(lambda connection: _find(connection, repository, upload))

    def parts(self, repository: Repository, upload: str) -> list[int]:
        """How many bytes each part has. Raises NoSuchUpload."""
        return [each.size for each in self._database.read(lambda connection: _parts(connection, repository, upload))]

    def append(self, repository: Repository, upload: str, body: Body, begin: int | None = None) -> Upload:
        """Everything that `body` has, from `begin` on (None: from where the last part ended). It counts when this
        returns. Raises NoSuchUpload, OutOfOrder, and what reading the body raises."""
        before = self.find(repository, upload)
        if begin not in (None, before.size):
            raise OutOfOrder(before.size)
        written = self._kept.receive(body, repository.account, repository.encrypted)
        if not written.size:
            self._kept.discard([written.blob])
            return before
        try:
            return self._database.write(lambda connection: self._entered(connection, repository, before, written))
        except _REFUSED:  # of any other error nobody knows whether it was committed: then the store's sweep looks
            self._kept.discard([written.blob])
            raise

    def _entered(self, connection: Connection, repository: Repository, before: Upload, written: Written) -> Upload:
        found = _find(connection, repository, before.id)
        if found.size != before.size:
            raise OutOfOrder(found.size)
        after = dataclasses.replace(found, size=found.size + written.size, touched=self._clock.now())
        values = {"size": after.size, "touched": after.touched}
        connection.execute(uploads.update().where(uploads.c.id == found.id).values(**values))
        connection.execute(parts.insert().values(upload=found.id, at=found.size, **written._asdict()))
        return after

    def complete(self, repository: Repository, upload: str, digest: str) -> int:
        """Makes it a layer of the repository, if its digest is that one; how many bytes it has. An upload that proves
        to be of another digest is over. Raises NoSuchUpload, OutOfOrder (more came meanwhile), WrongDigest."""
        come = self._database.read(lambda connection: _parts(connection, repository, upload))
        written = come[0] if len(come) == 1 else self._joined(repository, come)
        if written.sha256 != digest:
            self._kept.discard({written.blob} - {each.blob for each in come})
            self.cancel(repository, upload)
            raise WrongDigest(written.sha256)
        try:
            freed = self._database.write(lambda connection: self._made(connection, repository, upload, written, come))
        except _REFUSED:
            self._kept.discard({written.blob} - {each.blob for each in come})
            raise
        self._kept.discard(freed)
        return written.size

    def _joined(self, repository: Repository, come: Sequence[Written]) -> Written:
        def pieces() -> Iterator[bytes]:
            for each in come:
                yield from self._kept.read(repository.account, each)

        return self._kept.copy(pieces(), repository.account, repository.encrypted)

    def _made(
        self, connection: Connection, repository: Repository, upload: str, written: Written, come: Sequence[Written]
    ) -> list[str]:
        repositories.again(connection, repository)
        if _parts(connection, repository, upload) != come:
            raise OutOfOrder(_find(connection, repository, upload).size)
        left = {each.blob for each in come} - {written.blob}
        _forget(connection, [upload])
        return [*left, *layers.enter(connection, repository, written, self._clock.now())]

    def cancel(self, repository: Repository, upload: str) -> None:
        """Raises NoSuchUpload."""

        def work(connection: Connection) -> list[str]:
            come = _parts(connection, repository, upload)
            _forget(connection, [upload])
            return [each.blob for each in come]

        self._kept.discard(self._database.write(work))


def abandoned(connection: Connection, before: float, limit: int) -> tuple[int, list[str]]:
    """Forgets uploads of which nothing came since `before`; returns how many, and their blobs, to be discarded after
    the commit."""
    found = list(connection.scalars(sa.select(uploads.c.id).where(uploads.c.touched < before).limit(limit)))
    blobs = list(connection.scalars(sa.select(parts.c.blob).where(parts.c.upload.in_(found))))
    _forget(connection, found)
    return len(found), blobs


def _find(connection: Connection, repository: Repository, upload: str) -> Upload:
    this = (uploads.c.repository == repository.id, uploads.c.id == upload)
    row = None if "\0" in upload else connection.execute(sa.select(uploads).where(*this)).first()
    if row is None:
        raise NoSuchUpload(upload)
    return Upload(*row)


def _parts(connection: Connection, repository: Repository, upload: str) -> list[Written]:
    """In their order."""
    _find(connection, repository, upload)
    columns = (parts.c.blob, parts.c.size, parts.c.sha256, parts.c.key)
    rows = connection.execute(sa.select(*columns).where(parts.c.upload == upload).order_by(parts.c.at))
    return [Written(row.blob, row.size, row.sha256, None if row.key is None else bytes(row.key)) for row in rows]


def _forget(connection: Connection, found: Sequence[str]) -> None:
    connection.execute(parts.delete().where(parts.c.upload.in_(found)))
    connection.execute(uploads.delete().where(uploads.c.id.in_(found)))
