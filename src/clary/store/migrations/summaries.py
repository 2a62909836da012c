"""Records, version 1 to 2: listings read summaries, from indices in each of their orders."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

_BATCH = 500
# What version 1 kept of resources that are listed by summary: the stem of their members, and which members beside name,
# ARN and CreationTime their summaries have.
_KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "training-job": (
        "TrainingJob",
        ("TrainingEndTime", "LastModifiedTime", "TrainingJobStatus", "SecondaryStatus"),
    ),
    "model": ("Model", ()),
    "endpoint-config": ("EndpointConfig", ()),
    "endpoint": ("Endpoint", ("LastModifiedTime", "EndpointStatus")),
}
_NEXT = sa.text(
    "SELECT arn, kind, name, status, created, modified, document FROM records"
    " WHERE arn > :after ORDER BY arn LIMIT :most"
)
_INDICES = {
    "records_by_created": "account, region, kind, created, arn, name, modified",
    "records_by_modified": "account, region, kind, modified, arn, name, created",
    "records_by_status": "account, region, kind, status, created, arn, name, modified",
    "records_by_kind": "kind, status",
}


def add(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE records ADD COLUMN summary TEXT NOT NULL DEFAULT ''")
    for name, columns in _INDICES.items():
        connection.exec_driver_sql(f"DROP INDEX IF EXISTS {name}")
        connection.exec_driver_sql(f"CREATE INDEX {name} ON records ({columns})")
    after = ""
    while rows := connection.execute(_NEXT, {"after": after, "most": _BATCH}).all():
        after = rows[-1].arn
        told = [{"arn": row.arn, "summary": _summary(row)} for row in rows if row.kind in _KINDS]
        if told:
            connection.execute(sa.text("UPDATE records SET summary = :summary WHERE arn = :arn"), told)


def _summary(row: Any) -> str:
    stem, members = _KINDS[row.kind]
    document = json.loads(row.document) if isinstance(row.document, str) else row.document
    known = {
        **document,
        "LastModifiedTime": row.modified,
        f"{stem}Status": row.status,
    }
    summary = {f"{stem}Name": row.name, f"{stem}Arn": row.arn, "CreationTime": row.created}
    summary |= {member: known[member] for member in members if member in known}
    return json.dumps({name: _milliseconds(value) for name, value in summary.items()}, separators=(",", ":"))


def _milliseconds(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    rounded = round(value, 3)
    return int(rounded) if rounded == int(rounded) else rounded
