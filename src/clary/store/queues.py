"""Records that wait for their turn, and what the scheduler has to look at because of them.

A record is in the queue that its column `queue` names, in the order of creation (ties by ARN); its next replacement
takes it out again unless that says otherwise. Of a queue only the first needs a look, so a look costs the same however
many wait; `until` is when a record wants one although its turn has not come.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.store.prepared import Prepared
from clary.store.records import FIELDS, Record
from clary.store.schema import records

Place = tuple[float, str]  # created, ARN


class Due(NamedTuple):
    """`places` in order; `later` is the epoch second at which a queued record wants a look, infinite when none does."""

    places: list[Place]
    later: float


_PLACE = (records.c.created, records.c.arn)
_QUEUE = [records.c[name] == sa.bindparam(name) for name in ("kind", "status", "queue")]
_IN_QUEUE = sa.select(*_PLACE).where(*_QUEUE).order_by(*_PLACE)
_BEFORE = sa.tuple_(*_PLACE) < sa.tuple_(sa.bindparam("created", type_=sa.Float), sa.bindparam("arn", type_=sa.Text))
_OF_KIND = records.c.kind == sa.bindparam("kind")
_MOST = sa.bindparam("most", type_=sa.Integer)

_ALL = Prepared(_IN_QUEUE)
_FIRST = Prepared(_IN_QUEUE.limit(1))
_OVERDUE = Prepared(sa.select(*_PLACE).where(_OF_KIND, records.c.until <= sa.bindparam("now", type_=sa.Float)))
_LATER = Prepared(
    sa.select(sa.func.min(records.c.until)).where(_OF_KIND, records.c.until > sa.bindparam("now", type_=sa.Float))
)
_AHEAD = Prepared(
    sa.select(sa.func.count()).select_from(sa.select(_PLACE[0]).where(*_QUEUE, _BEFORE).limit(_MOST).subquery())
)
_RECORDS = Prepared(sa.select(*(records.c[name] for name in FIELDS)).where(*_QUEUE).order_by(*_PLACE))


def due(connection: Connection, kind: str, statuses: Sequence[str], queue: str, now: float) -> Due:
    """What is to be looked at, of every account and region: the records in one of these statuses that are in no queue,
    the first of `queue`, and those whose `until` is over."""
    found: set[Place] = set()
    for status in statuses:
        given = {"kind": kind, "status": status}
        found.update(_places(_ALL, connection, {**given, "queue": ""}))
        if queue:
            found.update(_places(_FIRST, connection, {**given, "queue": queue}))
    at: dict[str, Any] = {"kind": kind, "now": now}
    found.update(_places(_OVERDUE, connection, at) if queue else ())
    later = _LATER.first(connection, at) if queue else None
    return Due(sorted(found), math.inf if later is None or later[0] is None else later[0])


def _places(statement: Prepared, connection: Connection, given: Mapping[str, Any]) -> list[Place]:
    return [(created, arn) for created, arn in statement.rows(connection, given)]


def ahead(connection: Connection, record: Record, queue: str, most: int) -> int:
    """How many of the record's kind and status are in `queue` and older than it; `most` when there are more."""
    row = _AHEAD.first(
        connection,
        {
            "kind": record.kind,
            "status": record.status,
            "queue": queue,
            "created": record.created,
            "arn": record.arn,
            "most": most,
        },
    )
    return 0 if row is None else int(row[0])


def members(connection: Connection, kind: str, statuses: Sequence[str], queue: str) -> list[Record]:
    """The records in one of these statuses that are in `queue` ("": in none), of every account and region."""
    rows = [_RECORDS.rows(connection, {"kind": kind, "status": status, "queue": queue}) for status in statuses]
    return [Record(*row) for each in rows for row in each]
