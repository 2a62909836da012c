"""Resources as records: insert, find, replace by compare-and-swap, delete, list. Functions of a connection, to be used
inside `Database.read` and `Database.write`, so that several changes make one transaction."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.store.schema import records

_NOTED = "clary.changed"


class NameTaken(Exception):
    """A record of that kind and name (or that ARN) exists; `arn` is the existing one's."""

    def __init__(self, arn: str) -> None:
        super().__init__(arn)
        self.arn = arn


class Changed(Exception):
    """Somebody else replaced the record since it was read (or it is gone)."""


@dataclass(frozen=True, slots=True)
class Record:
    """Times are epoch seconds. `version` counts replacements, from 1."""

    kind: str
    account: str
    region: str
    arn: str
    name: str | None
    status: str
    created: float
    modified: float
    document: dict[str, Any]
    parent: str | None = None
    version: int = 1


def insert(connection: Connection, record: Record) -> None:
    """Raises NameTaken."""
    taken = (
        find(connection, record.kind, record.account, record.region, record.name) if record.name is not None else None
    )
    taken = taken or by_arn(connection, record.arn)
    if taken is not None:
        raise NameTaken(taken.arn)
    connection.execute(records.insert().values(**dataclasses.asdict(record)))


def find(connection: Connection, kind: str, account: str, region: str, name: str) -> Record | None:
    return _one(
        connection,
        records.c.kind == kind,
        records.c.account == account,
        records.c.region == region,
        records.c.name == name,
    )


def by_arn(connection: Connection, arn: str) -> Record | None:
    return _one(connection, records.c.arn == arn)


def replace(connection: Connection, record: Record, **changes: Any) -> Record:
    """Writes `record` with `changes` if nobody else did since it was read; raises Changed."""
    new = dataclasses.replace(record, **changes, version=record.version + 1)
    values = dataclasses.asdict(new)
    done = connection.execute(
        records.update().where(records.c.arn == record.arn, records.c.version == record.version).values(**values)
    )
    if done.rowcount != 1:
        raise Changed(record.arn)
    _note(connection, record.arn)
    return new


def delete(connection: Connection, record: Record) -> None:
    """Raises Changed when it was replaced or deleted since it was read."""
    done = connection.execute(records.delete().where(records.c.arn == record.arn, records.c.version == record.version))
    if done.rowcount != 1:
        raise Changed(record.arn)
    _note(connection, record.arn)


@contextlib.contextmanager
def noting(connection: Connection, arns: set[str]) -> Iterator[None]:
    """Adds to `arns` those of the records that are replaced or deleted by `connection` inside the block."""
    connection.info[_NOTED] = arns
    try:
        yield
    finally:
        del connection.info[_NOTED]


def _note(connection: Connection, arn: str) -> None:
    noted: set[str] | None = connection.info.get(_NOTED)
    if noted is not None:
        noted.add(arn)


@dataclass(frozen=True, slots=True)
class Query:
    """A listing. `sort` is a column; ties break by ARN; `after` is the (sort value, arn) of the last item seen."""

    kind: str
    account: str
    region: str
    sort: Literal["name", "created", "modified", "status"] = "created"
    descending: bool = False
    after: tuple[Any, str] | None = None
    limit: int = 100
    name_contains: str = ""
    statuses: Sequence[str] = ()
    parent: str | None = None
    created_after: float | None = None
    created_before: float | None = None
    modified_after: float | None = None
    modified_before: float | None = None
    conditions: Sequence[sa.ColumnElement[bool]] = field(default=())


def select(connection: Connection, query: Query) -> list[Record]:
    """At most `query.limit` records, in order, after `query.after`."""
    column = records.c[query.sort]
    statement = sa.select(records).where(*_conditions(query))
    if query.after is not None:
        here, there = (
            sa.tuple_(column, records.c.arn),
            sa.tuple_(sa.literal(query.after[0]), sa.literal(query.after[1])),
        )
        statement = statement.where(here < there if query.descending else here > there)
    order = (column.desc(), records.c.arn.desc()) if query.descending else (column, records.c.arn)
    rows = connection.execute(statement.order_by(*order).limit(query.limit))
    return [_record(row) for row in rows.mappings()]


def with_status(connection: Connection, kind: str, statuses: Sequence[str]) -> list[Record]:
    """Of every account and region: what the scheduler's loop looks at."""
    statement = (
        sa.select(records).where(records.c.kind == kind, records.c.status.in_(statuses)).order_by(records.c.created)
    )
    return [_record(row) for row in connection.execute(statement).mappings()]


def _conditions(query: Query) -> list[sa.ColumnElement[bool]]:
    table = records.c
    wanted = [table.kind == query.kind, table.account == query.account, table.region == query.region]
    if query.name_contains:
        wanted.append(table.name.contains(query.name_contains, autoescape=True))
    if query.statuses:
        wanted.append(table.status.in_(query.statuses))
    if query.parent is not None:
        wanted.append(table.parent == query.parent)
    for column, bound, after in (
        (table.created, query.created_after, True),
        (table.created, query.created_before, False),
        (table.modified, query.modified_after, True),
        (table.modified, query.modified_before, False),
    ):
        if bound is not None:
            wanted.append(column > bound if after else column < bound)
    return [*wanted, *query.conditions]


def _one(connection: Connection, *conditions: sa.ColumnElement[bool]) -> Record | None:
    row = connection.execute(sa.select(records).where(*conditions)).mappings().first()
    return None if row is None else _record(row)


def _record(row: Any) -> Record:
    return Record(**{field.name: row[field.name] for field in dataclasses.fields(Record)})
