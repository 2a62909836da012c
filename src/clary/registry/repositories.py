"""Repositories: functions of a connection to the object index's database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.arns import Arn
from clary.registry.names import Place
from clary.store.prepared import Prepared
from clary.store.registry_schema import images, layers, parts, references, replications, repositories, tags, uploads

_FIND = Prepared(
    sa.select(repositories).where(
        repositories.c.account == sa.bindparam("of_account"),
        repositories.c.region == sa.bindparam("of_region"),
        repositories.c.name == sa.bindparam("of_name"),
    )
)


class RepositoryTaken(Exception):
    """There is one of that name."""


class RepositoryGone(Exception):
    """It was deleted meanwhile, be it that another of its name is there now."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A row of the table, see there; `created` and `evaluated` are epoch seconds."""

    id: int
    account: str
    region: str
    name: str
    created: float
    settings: dict[str, Any]
    encrypted: bool
    tags: dict[str, str]
    policy: str | None = None
    lifecycle: str | None = None
    evaluated: float | None = None
    preview: str | None = None

    @property
    def place(self) -> Place:
        return Place(self.account, self.region, self.name)

    @property
    def arn(self) -> str:
        return arn(self.place)


def arn(place: Place) -> str:
    return str(Arn("ecr", place.region, place.account, f"repository/{place.repository}"))


def find(connection: Connection, place: Place) -> Repository | None:
    if "\0" in place.repository:  # PostgreSQL's text cannot even be compared with it
        return None
    given = {"of_account": place.account, "of_region": place.region, "of_name": place.repository}
    row = _FIND.first(connection, given)
    return None if row is None else Repository(*row)


def again(connection: Connection, repository: Repository) -> Repository:
    """As it is in this transaction. Raises RepositoryGone."""
    return by_number(connection, repository.id, repository.name)


def by_number(connection: Connection, number: int, name: str = "") -> Repository:
    """Raises RepositoryGone, which tells that name."""
    row = connection.execute(sa.select(repositories).where(repositories.c.id == number)).first()
    if row is None:
        raise RepositoryGone(name)
    return Repository(*row)


def add(
    connection: Connection,
    place: Place,
    created: float,
    settings: dict[str, Any],
    encrypted: bool,
    named: dict[str, str],
) -> Repository:
    """`named` are its tags. Raises RepositoryTaken."""
    if find(connection, place) is not None:
        raise RepositoryTaken(place.repository)
    values = {"created": created, "settings": settings, "encrypted": encrypted, "tags": named}
    where = {"account": place.account, "region": place.region, "name": place.repository}
    done = connection.execute(repositories.insert().values(**where, **values))
    return Repository(int((done.inserted_primary_key or (0,))[0]), *place, created, settings, encrypted, named)


def change(connection: Connection, repository: Repository, **columns: Any) -> None:
    connection.execute(repositories.update().where(repositories.c.id == repository.id).values(**columns))


def page(connection: Connection, account: str, region: str, after: str, limit: int) -> list[Repository]:
    """By name, those after `after`."""
    table = repositories.c
    wanted = (table.account == account, table.region == region, table.name > after)
    rows = connection.execute(sa.select(repositories).where(*wanted).order_by(table.name).limit(limit))
    return [Repository(*row) for row in rows]


def with_lifecycle(connection: Connection) -> list[Repository]:
    """All that have a lifecycle policy, of every account."""
    return [
        Repository(*row)
        for row in connection.execute(
            sa.select(repositories).where(repositories.c.lifecycle.is_not(None)).order_by(repositories.c.id)
        )
    ]


def is_empty(connection: Connection, repository: Repository) -> bool:
    """Whether it has no image."""
    wanted = sa.select(images.c.digest).where(images.c.repository == repository.id).limit(1)
    return connection.execute(wanted).first() is None


def remove(connection: Connection, repository: Repository) -> list[str]:
    """With all that is in it; returns the blobs of its unfinished uploads. Its layers' are freed by the garbage's next
    round (clary.registry.garbage)."""
    mine = sa.select(uploads.c.id).where(uploads.c.repository == repository.id)
    blobs = list(connection.scalars(sa.select(parts.c.blob).where(parts.c.upload.in_(mine))))
    connection.execute(parts.delete().where(parts.c.upload.in_(mine)))
    for table in (uploads, references, tags, images, layers, replications):
        connection.execute(table.delete().where(table.c.repository == repository.id))
    connection.execute(repositories.delete().where(repositories.c.id == repository.id))
    return blobs
