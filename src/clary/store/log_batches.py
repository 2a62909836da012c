"""Many log lines at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.store.prepared import Prepared
from clary.store.schema import log_events

# One statement for a whole batch: SQLite takes it apart without the interpreter's lock, which a flood of lines would
# otherwise keep from all other threads.
_EACH = sa.func.json_each(sa.bindparam("events", type_=sa.Text)).table_valued("key", "value")
_NUMBERS = {name: sa.bindparam(name, type_=sa.BigInteger) for name in ("stream", "first", "group", "ingested")}
_INSERT_JSON = Prepared(
    log_events.insert().from_select(
        ["stream_id", "timestamp", "sequence", "group_id", "ingested", "message"],
        sa.select(
            _NUMBERS["stream"],
            sa.func.json_extract(_EACH.c.value, "$[0]"),
            _NUMBERS["first"] + _EACH.c.key,
            _NUMBERS["group"],
            _NUMBERS["ingested"],
            sa.cast(sa.func.json_extract(_EACH.c.value, "$[1]"), sa.LargeBinary),
        ),
    )
)


@dataclass(frozen=True, slots=True)
class Batch:
    """Where lines go: the ids of their stream and its group, the sequence number of the first, and when they came, in
    epoch milliseconds."""

    stream: int
    group: int
    first: int
    ingested: int


def insert(connection: Connection, batch: Batch, events: Sequence[tuple[int, str]]) -> None:
    """`events` are (time, message) pairs; what is no Unicode in a message becomes question marks."""
    text = json.dumps(events, ensure_ascii=False) if connection.dialect.name == "sqlite" else ""
    if text and "\\u0000" not in text and _is_unicode(text):  # what JSON in SQLite cannot hold
        common = {"stream": batch.stream, "group": batch.group, "first": batch.first, "ingested": batch.ingested}
        _INSERT_JSON.run(connection, common | {"events": text})
        return
    rows = [
        {
            "stream_id": batch.stream,
            "timestamp": at,
            "sequence": number,
            "group_id": batch.group,
            "ingested": batch.ingested,
            "message": message.encode("utf-8", "replace"),
        }
        for number, (at, message) in enumerate(events, batch.first)
    ]
    connection.execute(log_events.insert(), rows)


def _is_unicode(text: str) -> bool:
    """False with a half of a surrogate pair in it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
