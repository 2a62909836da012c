"""Images on their way to other registries, and those that have come there: functions of a connection to the object
index's database.

A row says of one image, by the tag with which it was pushed ("" without), and of one registry how far it is. It goes
with its image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.registry.repositories import Repository
from clary.store.registry_schema import replications

Status = Literal["IN_PROGRESS", "COMPLETE", "FAILED"]
_UNDER_WAY: Status = "IN_PROGRESS"


class Destination(NamedTuple):
    """A registry."""

    account: str
    region: str


class Replication(NamedTuple):
    """A row of the table, see there."""

    id: int
    repository: int
    digest: str
    tag: str
    account: str
    region: str
    status: Status
    failure: str


def begin(
    connection: Connection, repository: Repository, digest: str, tag: str, destinations: Iterable[Destination]
) -> None:
    """The image, just pushed with that tag, is to come there; it comes behind all that are under way."""
    for account, region in destinations:
        this = {"repository": repository.id, "digest": digest, "tag": tag, "account": account, "region": region}
        same = [replications.c[name] == value for name, value in this.items()]
        connection.execute(replications.delete().where(*same))
        connection.execute(replications.insert().values(**this, status=_UNDER_WAY, failure=""))


def under_way(connection: Connection, after: int, limit: int) -> list[Replication]:
    """Those behind the row `after`, in their order."""
    wanted = (replications.c.status == _UNDER_WAY, replications.c.id > after)
    rows = connection.execute(sa.select(replications).where(*wanted).order_by(replications.c.id).limit(limit))
    return [Replication(*row) for row in rows]


def end(connection: Connection, replication: Replication, status: Status, failure: str) -> None:
    """Unless it was begun anew meanwhile, or another server was done with it before."""
    this = (replications.c.id == replication.id, replications.c.status == _UNDER_WAY)
    connection.execute(replications.update().where(*this).values(status=status, failure=failure))


def forget(connection: Connection, replication: Replication) -> None:
    connection.execute(replications.delete().where(replications.c.id == replication.id))


def of_image(connection: Connection, repository: Repository, digest: str) -> Sequence[Replication]:
    this = (replications.c.repository == repository.id, replications.c.digest == digest)
    rows = connection.execute(sa.select(replications).where(*this).order_by(replications.c.id))
    return [Replication(*row) for row in rows]
