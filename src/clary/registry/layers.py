"""Layers, and configurations, which are kept as these are: bytes of a repository, known by their digest."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.registry.bytes_at_rest import Written
from clary.registry.repositories import Repository
from clary.store.prepared import Prepared
from clary.store.registry_schema import blobs, damaged, layers, parts, references

TOUCHED_SECONDS = 3600.0  # how exactly it is noted when a layer was last asked for
_AT_ONCE = 500

_BYTES = (blobs.c.blob, blobs.c.size, blobs.c.key)
_JOINED = (
    sa.select(blobs.c.account, layers.c.digest, layers.c.touched, damaged.c.blob.label("damaged"), *_BYTES)
    .join_from(layers, blobs, blobs.c.blob == layers.c.blob)
    .outerjoin(damaged, damaged.c.blob == layers.c.blob)
)
_FIND = Prepared(
    _JOINED.where(layers.c.repository == sa.bindparam("of_repository"), layers.c.digest == sa.bindparam("of_digest"))
)


class Layer(NamedTuple):
    """A repository's: `written` says where its bytes are; `touched` is in epoch seconds. Of one that is `damaged` it is
    known that its bytes were not what was stored, when they were read last."""

    account: str
    touched: float
    damaged: bool
    written: Written

    @property
    def digest(self) -> str:
        return self.written.sha256

    @property
    def size(self) -> int:
        return self.written.size


def find(connection: Connection, repository: Repository, digest: str) -> Layer | None:
    """`digest` is one by its form."""
    row = _FIND.first(connection, {"of_repository": repository.id, "of_digest": digest})
    if row is None:
        return None
    account, digest, touched, broken, blob, size, key = row
    return Layer(account, touched, broken is not None, Written(blob, size, digest, None if key is None else bytes(key)))


def whole(connection: Connection, repository: Repository, digest: str) -> Layer | None:
    """As `find`, of one that need not be pushed."""
    found = find(connection, repository, digest)
    return None if found is None or found.damaged else found


def is_needed(connection: Connection, repository: Repository, digest: str) -> bool:
    """Whether an image needs it."""
    this = (references.c.repository == repository.id, references.c.target == digest)
    return connection.execute(sa.select(references.c.digest).where(*this).limit(1)).first() is not None


def sizes(connection: Connection, repository: Repository, digests: Collection[str]) -> dict[str, int]:
    """Of those of `digests` that the repository has, and that are not known to be damaged."""
    found: dict[str, int] = {}
    broken = sa.select(damaged.c.blob)
    for some in _batches(sorted(digests)):
        wanted = sa.select(layers.c.digest, blobs.c.size).join_from(layers, blobs, blobs.c.blob == layers.c.blob)
        rows = connection.execute(wanted.where(*_this(repository, some), layers.c.blob.not_in(broken)))
        found.update((row.digest, row.size) for row in rows)
    return found


def enter(connection: Connection, repository: Repository, written: Written, now: float) -> list[str]:
    """Makes the bytes a layer of the repository. Where the account has them already these take their place in all of
    its repositories: they were verified just now, and what has been on the disk may be damaged. The blob that is needed
    no more is returned: to be discarded after the commit."""
    same = (blobs.c.account == repository.account, blobs.c.digest == written.sha256)
    wanted = sa.select(blobs.c.blob).where(*same, blobs.c.encrypted == repository.encrypted)
    known: str | None = connection.scalar(wanted)
    if known != written.blob:
        if known is not None:
            _forget(connection, [known])
            connection.execute(layers.update().where(layers.c.blob == known).values(blob=written.blob))
        values = {"account": repository.account, "digest": written.sha256, "encrypted": repository.encrypted}
        connection.execute(blobs.insert().values(blob=written.blob, size=written.size, key=written.key, **values))
    _belong(connection, repository, written.sha256, written.blob, now)
    return [] if known in (None, written.blob) else [known]


def _forget(connection: Connection, names: Sequence[str]) -> None:
    for table in (blobs, damaged):
        connection.execute(table.delete().where(table.c.blob.in_(names)))


def share(connection: Connection, layer: Layer, repository: Repository, now: float) -> bool:
    """Makes another repository's layer one of this one too. False where it has to be sent: it is damaged, or another
    account's, or of the two repositories one is encrypted."""
    if layer.damaged or layer.account != repository.account or (layer.written.key is not None) != repository.encrypted:
        return False
    _belong(connection, repository, layer.digest, layer.written.blob, now)
    return True


def _belong(connection: Connection, repository: Repository, digest: str, blob: str, now: float) -> None:
    connection.execute(layers.delete().where(*_this(repository, [digest])))
    connection.execute(layers.insert().values(repository=repository.id, digest=digest, blob=blob, touched=now))


def touch(connection: Connection, repository: Repository, digests: Collection[str], now: float) -> None:
    """Somebody counts on them: they stay for a day, even if no image needs them."""
    for some in _batches(sorted(digests)):
        connection.execute(layers.update().where(*_this(repository, some)).values(touched=now))


def unneeded(connection: Connection, before: float, limit: int) -> list[tuple[int, str]]:
    """(repository's number, digest) of layers that no image needs and nobody touched since `before`."""
    needed = sa.select(references.c.target).where(
        references.c.repository == layers.c.repository, references.c.target == layers.c.digest
    )
    wanted = sa.select(layers.c.repository, layers.c.digest).where(layers.c.touched < before, ~needed.exists())
    return [(row.repository, row.digest) for row in connection.execute(wanted.limit(limit))]


def let_go(connection: Connection, found: Sequence[tuple[int, str]]) -> None:
    for repository, digest in found:
        connection.execute(layers.delete().where(layers.c.repository == repository, layers.c.digest == digest))


def free(connection: Connection, limit: int) -> dict[str, int]:
    """Forgets bytes that no repository has any more: blob -> size, to be discarded after the commit."""
    had = sa.select(layers.c.blob).where(layers.c.blob == blobs.c.blob)
    rows = connection.execute(sa.select(blobs.c.blob, blobs.c.size).where(~had.exists()).limit(limit)).all()
    _forget(connection, [row.blob for row in rows])
    return {row.blob: row.size for row in rows}


def named(connection: Connection, names: Sequence[str]) -> set[str]:
    """Those of the blobs that are bytes of a layer, or of one that is coming."""
    found: set[str] = set()
    for table in (blobs, parts):
        found.update(connection.scalars(sa.select(table.c.blob).where(table.c.blob.in_(names))))
    return found


def owners(connection: Connection, blob: str) -> list[str]:
    """The digests that the blob is the bytes of: one, or none."""
    return list(connection.scalars(sa.select(blobs.c.digest).where(blobs.c.blob == blob)))


def note_damage(connection: Connection, blob: str) -> None:
    """A layer's bytes are not what was stored: whoever is about to push it is asked for them."""
    if owners(connection, blob) and not connection.scalar(sa.select(damaged.c.blob).where(damaged.c.blob == blob)):
        connection.execute(damaged.insert().values(blob=blob))


def note_mended(connection: Connection, blob: str) -> None:
    """They are all right after all: the disk gives them again."""
    connection.execute(damaged.delete().where(damaged.c.blob == blob))


def _this(repository: Repository, digests: Sequence[str]) -> tuple[sa.ColumnElement[bool], ...]:
    return layers.c.repository == repository.id, layers.c.digest.in_(digests)


def _batches(values: Sequence[str]) -> list[Sequence[str]]:
    return [values[at : at + _AT_ONCE] for at in range(0, len(values), _AT_ONCE)]
