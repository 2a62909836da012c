"""Pages of what a repository has; each begins after what the last one ended with."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.registry.images import Image, TagStatus
from clary.registry.repositories import Repository
from clary.store.registry_schema import images, tags

_TAG = sa.func.coalesce(tags.c.name, "")
_HEAVIEST = 16 * 1024 * 1024  # bytes of manifests, one of which may have 4 MiB, that one listing has in memory
_WITHOUT_MANIFESTS = [
    sa.literal(b"", sa.LargeBinary).label(column.name) if column is images.c.manifest else column for column in images.c
]
_HAS_TAGS = sa.exists().where(tags.c.repository == images.c.repository, tags.c.digest == images.c.digest)


def names(connection: Connection, repository: Repository, after: str, limit: int) -> list[str]:
    """Tags, in order."""
    wanted = sa.select(tags.c.name).where(tags.c.repository == repository.id, tags.c.name > after)
    return list(connection.scalars(wanted.order_by(tags.c.name).limit(limit)))


def identities(
    connection: Connection, repository: Repository, status: TagStatus, after: tuple[str, str], limit: int
) -> list[tuple[str, str]]:
    """(digest, tag) of each tag, and (digest, "") of each image without, in order."""
    joined = images.outerjoin(tags, sa.and_(tags.c.repository == images.c.repository, tags.c.digest == images.c.digest))
    here, there = sa.tuple_(images.c.digest, _TAG), sa.tuple_(sa.literal(after[0]), sa.literal(after[1]))
    wanted = (
        sa.select(images.c.digest, _TAG).select_from(joined).where(images.c.repository == repository.id, here > there)
    )
    if status != "ANY":
        wanted = wanted.where(tags.c.name.is_(None) if status == "UNTAGGED" else tags.c.name.is_not(None))
    rows = connection.execute(wanted.order_by(images.c.digest, _TAG).limit(limit))
    return [(digest, tag) for digest, tag in rows]


def pushed(connection: Connection, repository: Repository) -> list[tuple[str, float]]:
    """(digest, when it was pushed) of all images."""
    rows = connection.execute(sa.select(images.c.digest, images.c.pushed).where(images.c.repository == repository.id))
    return [(digest, when) for digest, when in rows]


def tagged(connection: Connection, repository: Repository) -> dict[str, list[str]]:
    """Digest -> tags by name, of all that have some."""
    wanted = sa.select(tags.c.digest, tags.c.name).where(tags.c.repository == repository.id).order_by(tags.c.name)
    found: dict[str, list[str]] = {}
    for digest, name in connection.execute(wanted):
        found.setdefault(digest, []).append(name)
    return found


def whole(connection: Connection, repository: Repository, status: TagStatus, after: str, limit: int) -> list[Image]:
    """Images by digest, with empty manifests."""
    wanted = sa.select(*_WITHOUT_MANIFESTS).where(images.c.repository == repository.id, images.c.digest > after)
    if status != "ANY":
        wanted = wanted.where(~_HAS_TAGS if status == "UNTAGGED" else _HAS_TAGS)
    return [Image(*row) for row in connection.execute(wanted.order_by(images.c.digest).limit(limit))]


def each(connection: Connection, after: tuple[int, str], limit: int) -> list[Image]:
    """Images of every repository, those that come after one."""
    here, there = sa.tuple_(images.c.repository, images.c.digest), sa.tuple_(*map(sa.literal, after))
    ordered = sa.select(images).where(here > there).order_by(images.c.repository, images.c.digest)
    return [Image(*row) for row in connection.execute(ordered.limit(limit))]


def referrers(
    connection: Connection, repository: Repository, subject: str, kinds: Sequence[str], after: str, limit: int
) -> tuple[list[Image], bool]:
    """Images that refer to `subject`, by digest, of one of the artifact types, where there are such; and whether there
    are more. At most `limit`, and fewer where their manifests are large."""
    wanted = [
        images.c.repository == repository.id,
        images.c.subject == subject,
        images.c.digest > after.partition("\0")[0],
    ]
    if kinds:
        # What no image has PostgreSQL's text could not even be compared with.
        wanted.append(images.c.artifact_type.in_([each for each in kinds if "\0" not in each]))
    sizes = sa.select(images.c.digest, sa.func.length(images.c.manifest)).where(*wanted)
    left, last, more = _HEAVIEST, "", False
    for at, (digest, size) in enumerate(connection.execute(sizes.order_by(images.c.digest).limit(limit + 1))):
        more = at == limit or (at > 0 and size > left)
        if more:
            break
        left, last = left - size, digest
    rows = connection.execute(sa.select(images).where(*wanted, images.c.digest <= last).order_by(images.c.digest))
    return [Image(*row) for row in rows], more
