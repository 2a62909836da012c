"""Log groups, streams and events. Functions of a connection to the logs database, for `Database.read` and `.write`.

Times are epoch milliseconds, except `now`, which is the clock's epoch seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.store.log_batches import Batch, insert
from clary.store.prepared import Prepared
from clary.store.schema import log_events as events_table
from clary.store.schema import log_groups as groups_table
from clary.store.schema import log_streams as streams_table

_DAY = 86_400_000
_NAMED = Prepared(
    sa.select(streams_table)
    .join(groups_table, streams_table.c.group_id == groups_table.c.id)
    .where(groups_table.c.account == sa.bindparam("account"), groups_table.c.region == sa.bindparam("region"))
    .where(groups_table.c.name == sa.bindparam("of_group"), streams_table.c.name == sa.bindparam("of_name"))
)
_MOVING = ("first_event", "last_event", "last_ingestion", "bytes", "position", "next_sequence")
_MOVE = Prepared(
    streams_table.update()
    .where(streams_table.c.id == sa.bindparam("of"))
    .values({name: sa.bindparam(f"to_{name}") for name in _MOVING})
)
FIRST = (-1, -1)  # a cursor before every event


@dataclass(frozen=True, slots=True)
class Group:
    """`retention_days` None keeps events for ever."""

    id: int
    account: str
    region: str
    name: str
    created: int
    retention_days: int | None
    tags: dict[str, str]

    def oldest(self, now: float) -> int:
        """Events before this time have expired."""
        return 0 if self.retention_days is None else int(now * 1000) - self.retention_days * _DAY


@dataclass(frozen=True, slots=True)
class Stream:
    """`bytes` counts the messages stored in it, the times are None until it has an event; `position`: see `append`."""

    id: int
    group_id: int
    name: str
    created: int
    first_event: int | None
    last_event: int | None
    last_ingestion: int | None
    bytes: int
    position: int
    next_sequence: int


@dataclass(frozen=True, slots=True)
class Event:
    """(`timestamp`, `sequence`) is its cursor within the stream."""

    stream_id: int
    timestamp: int
    sequence: int
    ingested: int
    message: str


class Exists(Exception):
    """A group or stream of that name exists already."""


def find_group(connection: Connection, account: str, region: str, name: str) -> Group | None:
    table = groups_table.c
    query = sa.select(groups_table).where(table.account == account, table.region == region, table.name == name)
    row = connection.execute(query).mappings().first()
    return None if row is None else Group(**row)


def create_group(
    connection: Connection, account: str, region: str, name: str, now: float, tags: dict[str, str] | None = None
) -> Group:
    """Raises Exists."""
    if find_group(connection, account, region, name) is not None:
        raise Exists(name)
    values: dict[str, Any] = {"account": account, "region": region, "name": name, "created": int(now * 1000)}
    values |= {"retention_days": None, "tags": tags or {}}
    number = connection.execute(groups_table.insert().returning(groups_table.c.id), values).scalar_one()
    return Group(id=number, **values)


def change_group(connection: Connection, group: Group, **values: Any) -> None:
    """Sets `retention_days` or `tags`."""
    connection.execute(groups_table.update().where(groups_table.c.id == group.id).values(values))


def delete_group(connection: Connection, group: Group) -> None:
    connection.execute(events_table.delete().where(events_table.c.group_id == group.id))
    connection.execute(streams_table.delete().where(streams_table.c.group_id == group.id))
    connection.execute(groups_table.delete().where(groups_table.c.id == group.id))


def groups(
    connection: Connection, account: str, region: str, *conditions: sa.ColumnElement[bool], after: str = "", limit: int
) -> list[tuple[Group, int]]:
    """In the order of names, after the name `after`, each with the number of bytes stored in it."""
    table = groups_table.c
    stored = sa.select(sa.func.coalesce(sa.func.sum(streams_table.c.bytes), 0)).where(
        streams_table.c.group_id == table.id
    )
    query = sa.select(groups_table, stored.scalar_subquery().label("bytes"))
    query = query.where(table.account == account, table.region == region, table.name > after, *conditions)
    rows = connection.execute(query.order_by(table.name).limit(limit)).mappings()
    return [(Group(**{key: row[key] for key in row if key != "bytes"}), int(row["bytes"])) for row in rows]


def find_stream(connection: Connection, group: Group, name: str) -> Stream | None:
    table = streams_table.c
    query = sa.select(streams_table).where(table.group_id == group.id, table.name == name)
    row = connection.execute(query).mappings().first()
    return None if row is None else Stream(**row)


def create_stream(connection: Connection, group: Group, name: str, now: float) -> Stream:
    """Raises Exists."""
    if find_stream(connection, group, name) is not None:
        raise Exists(name)
    values: dict[str, Any] = {"group_id": group.id, "name": name, "created": int(now * 1000)}
    values |= {"bytes": 0, "position": 0, "next_sequence": 0}
    number = connection.execute(streams_table.insert().returning(streams_table.c.id), values).scalar_one()
    return Stream(id=number, first_event=None, last_event=None, last_ingestion=None, **values)


def delete_stream(connection: Connection, stream: Stream) -> None:
    connection.execute(events_table.delete().where(events_table.c.stream_id == stream.id))
    connection.execute(streams_table.delete().where(streams_table.c.id == stream.id))


def streams(
    connection: Connection,
    group: Group,
    prefix: str = "",
    by_time: bool = False,
    descending: bool = False,
    after: tuple[int, str] | None = None,
    limit: int = 50,
) -> list[Stream]:
    """By name, or by the time of the last event (streams without events count as 0); `after` is the (time, name) of the
    last one seen (by name its time is not looked at)."""
    table = streams_table.c
    time = sa.func.coalesce(table.last_event, 0)
    keys: list[Any] = [time, table.name] if by_time else [table.name]
    query = sa.select(streams_table).where(table.group_id == group.id)
    if prefix:
        query = query.where(table.name.startswith(prefix, autoescape=True))
    if after is not None:
        here, there = sa.tuple_(*keys), sa.tuple_(*(sa.literal(key) for key in (after if by_time else after[1:])))
        query = query.where(here < there if descending else here > there)
    query = query.order_by(*(key.desc() if descending else key for key in keys))
    return [Stream(**row) for row in connection.execute(query.limit(limit)).mappings()]


def stream_names(connection: Connection, ids: Collection[int]) -> dict[int, str]:
    """Names by id."""
    query = sa.select(streams_table.c.id, streams_table.c.name).where(streams_table.c.id.in_(ids))
    return {row.id: row.name for row in connection.execute(query)}


def append(
    connection: Connection,
    account: str,
    region: str,
    group: str,
    stream: str,
    events: Sequence[tuple[int, str]],
    now: float,
    position: int | None = None,
) -> int:
    """Appends (time, message) pairs, creating the group and the stream with the first; returns the next position.

    `position` is where this batch begins in its source. A batch that does not begin at the stream's next position has
    been stored already (its sender missed the answer) and is dropped. Positions advance by the UTF-8 bytes of each
    message and one for its line end; batches without a position leave it alone.
    """
    target = _target(connection, account, region, group, stream, now)
    if not events or (position is not None and position != target.position):
        return target.position
    ingested, size = int(now * 1000), len("".join([text for _, text in events]).encode("utf-8", "replace"))
    insert(connection, Batch(target.id, target.group_id, target.next_sequence, ingested), events)
    moved = target.position if position is None else target.position + size + len(events)
    times = [at for at, _ in events]
    first, last = (target.first_event, target.last_event)
    changes = {
        "first_event": min(times) if first is None else min(first, *times),
        "last_event": max(times) if last is None else max(last, *times),
        "last_ingestion": ingested,
        "bytes": target.bytes + size,
        "position": moved,
        "next_sequence": target.next_sequence + len(events),
    }
    _MOVE.run(connection, {**{f"to_{name}": value for name, value in changes.items()}, "of": target.id})
    return moved


def _target(connection: Connection, account: str, region: str, group: str, stream: str, now: float) -> Stream:
    given = {"account": account, "region": region, "of_group": group, "of_name": stream}
    if row := _NAMED.first(connection, given):
        return Stream(*row)
    found = find_group(connection, account, region, group) or create_group(connection, account, region, group, now)
    return create_stream(connection, found, stream, now)


@dataclass(frozen=True, slots=True)
class Span:
    """Events with start <= time < end; None is open."""

    start: int | None = None
    end: int | None = None

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        time = events_table.c.timestamp
        bounds = [] if self.start is None else [time >= self.start]
        return bounds if self.end is None else [*bounds, time < self.end]


def forward(
    connection: Connection, stream: Stream, after: tuple[int, int], limit: int, span: Span = Span()
) -> list[Event]:
    """The first events after the cursor `after`, oldest first."""
    here = sa.tuple_(events_table.c.timestamp, events_table.c.sequence)
    query = _of(stream, span).where(here > sa.tuple_(*map(sa.literal, after)))
    query = query.order_by(events_table.c.timestamp, events_table.c.sequence)
    return [_event(row) for row in connection.execute(query.limit(limit)).mappings()]


def backward(
    connection: Connection, stream: Stream, before: tuple[int, int] | None, limit: int, span: Span = Span()
) -> list[Event]:
    """The last events before the cursor `before` (None: of all), newest first."""
    query = _of(stream, span)
    if before is not None:
        here = sa.tuple_(events_table.c.timestamp, events_table.c.sequence)
        query = query.where(here < sa.tuple_(*map(sa.literal, before)))
    query = query.order_by(events_table.c.timestamp.desc(), events_table.c.sequence.desc())
    return [_event(row) for row in connection.execute(query.limit(limit)).mappings()]


def across(
    connection: Connection,
    group: Group,
    chosen: Sequence[int] | None,
    after: tuple[int, int, int] | None,
    limit: int,
    span: Span = Span(),
) -> Iterator[Event]:
    """Events of the streams `chosen` by id (None: all of the group), by time, after the (time, stream, sequence)."""
    table = events_table.c
    query = sa.select(events_table).where(table.group_id == group.id, *span.conditions())
    if chosen is not None:
        query = query.where(table.stream_id.in_(chosen))
    if after is not None:
        here = sa.tuple_(table.timestamp, table.stream_id, table.sequence)
        query = query.where(here > sa.tuple_(*map(sa.literal, after)))
    query = query.order_by(table.timestamp, table.stream_id, table.sequence).limit(limit)
    return (_event(row) for row in connection.execute(query).mappings())


def _of(stream: Stream, span: Span) -> sa.Select[Any]:
    return sa.select(events_table).where(events_table.c.stream_id == stream.id, *span.conditions())


def _event(row: Any) -> Event:
    message = row["message"].decode("utf-8", "replace")
    return Event(row["stream_id"], row["timestamp"], row["sequence"], row["ingested"], message)
