"""Templates of repositories that a registry makes by itself: functions of a connection to the object index's database.

The prefix `team` is that of all repositories whose names begin with `team/`, `ROOT` that of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.registry.names import Place
from clary.store.registry_schema import templates

ROOT = "ROOT"
_APPLIED = "appliedFor"


@dataclass(frozen=True, slots=True)
class Template:
    """A row of the table, see there; times are epoch seconds."""

    account: str
    region: str
    prefix: str
    document: dict[str, Any]
    created: float
    updated: float


def find(connection: Connection, account: str, region: str, prefix: str) -> Template | None:
    row = connection.execute(sa.select(templates).where(*_this(account, region, prefix))).first()
    return None if row is None else Template(*row)


def put(connection: Connection, template: Template) -> None:
    """In the place of the one of its prefix."""
    remove(connection, template)
    where = {"account": template.account, "region": template.region, "prefix": template.prefix}
    times = {"created": template.created, "updated": template.updated}
    connection.execute(templates.insert().values(**where, document=template.document, **times))


def remove(connection: Connection, template: Template) -> None:
    connection.execute(templates.delete().where(*_this(template.account, template.region, template.prefix)))


def count(connection: Connection, account: str, region: str) -> int:
    wanted = sa.select(sa.func.count()).where(templates.c.account == account, templates.c.region == region)
    return int(connection.scalar(wanted) or 0)


def page(connection: Connection, account: str, region: str, after: str, limit: int) -> list[Template]:
    """By prefix, those after `after`."""
    wanted = (templates.c.account == account, templates.c.region == region, templates.c.prefix > after)
    rows = connection.execute(sa.select(templates).where(*wanted).order_by(templates.c.prefix).limit(limit))
    return [Template(*row) for row in rows]


def matching(connection: Connection, place: Place, reason: str) -> Template | None:
    """The one with the longest prefix that is applied for `reason`."""
    parts = place.repository.split("/")[:-1]
    prefixes = ["/".join(parts[:length]) for length in range(len(parts), 0, -1)]
    for prefix in (*prefixes, ROOT):
        found = find(connection, place.account, place.region, prefix)
        if found is not None and reason in found.document[_APPLIED]:
            return found
    return None


def _this(account: str, region: str, prefix: str) -> tuple[sa.ColumnElement[bool], ...]:
    return templates.c.account == account, templates.c.region == region, templates.c.prefix == prefix
