"""Resources as records: insert, find, replace by compare-and-swap, delete, select. Functions of a connection, to be
used inside `Database.read` and `Database.write`, so that several changes make one transaction. For pages of listings
see clary.store.listings."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.store.prepared import Prepared, Unless
from clary.store.schema import records

_NOTED = "clary.changed"


class NameTaken(Exception):
    """A record of that kind and name (or that ARN) exists; `arn` is the existing one's."""

    def __init__(self, arn: str) -> None:
        super().__init__(arn)
        self.arn = arn


class Changed(Exception):
    """Somebody else replaced the record since it was read (or it is gone)."""


@dataclass(slots=True)  # frozen, it would take four times as long to make
class Record:
    """Not changed once it is made: who wants another makes one. Times are epoch seconds. `version` counts replacements,
    from 1. `summary` is what listings show of the record, as JSON text, so that a page is read without its documents;
    empty for kinds that are not listed so. `queue` and `until` are for clary.store.queues."""

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
    summary: str = ""
    queue: str = ""
    until: float | None = None


FIELDS = tuple(each.name for each in dataclasses.fields(Record))
_SELECT = sa.select(*(records.c[name] for name in FIELDS))
_AS_TEXT = sa.cast(records.c.document, sa.Text)
_ITS_NAME = [records.c[name] == sa.bindparam(name) for name in ("kind", "account", "region", "name")]
_SAME = [records.c.arn == sa.bindparam("of_arn"), records.c.version == sa.bindparam("of_version")]
_CHANGING = ("status", "modified", "document", "version", "summary", "queue", "until")

_INSERT = Unless(records)
_BY_NAME = Prepared(_SELECT.where(*_ITS_NAME))
_TEXT = Prepared(
    sa.select(*(records.c[name] for name in ("arn", "status", "created", "modified")), _AS_TEXT).where(*_ITS_NAME)
)
_BY_ARN = Prepared(_SELECT.where(records.c.arn == sa.bindparam("arn")))
_TEXT_BY_ARN = Prepared(
    sa.select(records.c.kind, records.c.account, _AS_TEXT).where(records.c.arn == sa.bindparam("arn"))
)
_TAKEN = Prepared(
    sa.union_all(
        sa.select(records.c.arn).where(records.c.arn == sa.bindparam("arn")),
        sa.select(records.c.arn).where(*_ITS_NAME),
    ).limit(1)
)
_REPLACE = Prepared(records.update().where(*_SAME).values({name: sa.bindparam(f"to_{name}") for name in _CHANGING}))
_DELETE = Prepared(records.delete().where(*_SAME))


def insert(connection: Connection, record: Record) -> None:
    """Raises NameTaken."""
    values = {name: getattr(record, name) for name in FIELDS}
    if _INSERT.run(connection, values) == 1:
        return
    taken = _TAKEN.first(connection, values)
    raise NameTaken(record.arn if taken is None else taken[0])


def find(connection: Connection, kind: str, account: str, region: str, name: str) -> Record | None:
    row = _BY_NAME.first(connection, {"kind": kind, "account": account, "region": region, "name": name})
    return None if row is None else Record(*row)


class Written(NamedTuple):
    """What is told of a record whose document need not be looked into: `document` is its JSON text."""

    arn: str
    status: str
    created: float
    modified: float
    document: str


def written(connection: Connection, kind: str, account: str, region: str, name: str) -> Written | None:
    row = _TEXT.first(connection, {"kind": kind, "account": account, "region": region, "name": name})
    return None if row is None else Written(*row)


def by_arn(connection: Connection, arn: str) -> Record | None:
    row = _BY_ARN.first(connection, {"arn": arn})
    return None if row is None else Record(*row)


class Text(NamedTuple):
    """`document` is JSON text."""

    kind: str
    account: str
    document: str


def text_by_arn(connection: Connection, arn: str) -> Text | None:
    """For whoever keeps what is made of the text, and need not have it read again."""
    row = _TEXT_BY_ARN.first(connection, {"arn": arn})
    return None if row is None else Text(*row)


def replace(
    connection: Connection,
    record: Record,
    *,
    document: dict[str, Any] | None = None,
    status: str | None = None,
    modified: float | None = None,
    summary: str | None = None,
    queue: str = "",
    until: float | None = None,
) -> Record:
    """Writes `record` with what is given if nobody else did since it was read; raises Changed. It leaves its queue
    unless one is given."""
    given = {"document": document, "status": status, "modified": modified, "summary": summary}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    new = dataclasses.replace(record, **changes, version=record.version + 1, queue=queue, until=until)
    values = {f"to_{name}": getattr(new, name) for name in _CHANGING}
    if _REPLACE.run(connection, {**values, **_version(record)}) != 1:
        raise Changed(record.arn)
    _note(connection, record.arn)
    return new


def delete(connection: Connection, record: Record) -> None:
    """Raises Changed when it was replaced or deleted since it was read."""
    if _DELETE.run(connection, _version(record)) != 1:
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


def _version(record: Record) -> dict[str, Any]:
    return {"of_arn": record.arn, "of_version": record.version}


@dataclass(frozen=True, slots=True)
class Query:
    """Which records, in ascending order of `sort`, ties by ARN."""

    kind: str
    account: str
    region: str
    sort: Literal["name", "created"] = "created"
    limit: int = 100
    parent: str | None = None
    conditions: Sequence[sa.ColumnElement[bool]] = field(default=())


def select(connection: Connection, query: Query) -> list[Record]:
    """At most `query.limit` records, in order."""
    table = records.c
    wanted = [table.kind == query.kind, table.account == query.account, table.region == query.region]
    if query.parent is not None:
        wanted.append(table.parent == query.parent)
    statement = _SELECT.where(*wanted, *query.conditions).order_by(table[query.sort], table.arn)
    return [Record(*row) for row in connection.execute(statement.limit(query.limit))]
