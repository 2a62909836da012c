"""Records, version 3 to 4: who waits in a queue has it in a column, so that the scheduler reads no document to know."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

_RECORDS = sa.table(
    "records",
    *(sa.column(name, sa.String) for name in ("arn", "kind", "status", "summary", "queue")),
    *(sa.column(name, sa.Float) for name in ("created", "until")),
    sa.column("document", sa.JSON),
)
_LIMITS = ("MaxWaitTimeInSeconds", "MaxPendingTimeInSeconds")


def add(connection: Connection) -> None:
    time = sa.Float().compile(dialect=connection.dialect)
    for statement in (
        "ALTER TABLE records ADD COLUMN queue TEXT NOT NULL DEFAULT ''",
        f"ALTER TABLE records ADD COLUMN until {time}",
        "DROP INDEX IF EXISTS records_by_kind",
        "CREATE INDEX records_by_kind ON records (kind, status, queue, created, arn)",
        "CREATE INDEX records_by_until ON records (kind, until) WHERE until IS NOT NULL",
    ):
        connection.exec_driver_sql(statement)
    waiting = sa.select(_RECORDS.c.arn, _RECORDS.c.created, _RECORDS.c.document).where(
        _RECORDS.c.kind == "training-job",
        _RECORDS.c.status == "InProgress",
        _RECORDS.c.summary.contains('"SecondaryStatus":"Pending"', autoescape=True),
    )
    for arn, created, document in connection.execute(waiting).all():
        placed = _RECORDS.update().where(_RECORDS.c.arn == arn)
        connection.execute(placed.values(queue="job-slot", until=_until(created, document)))


def _until(created: float, document: dict[str, Any]) -> float | None:
    condition = document["StoppingCondition"]
    limits = [condition[name] for name in _LIMITS if name in condition]
    return created + min(limits) if limits else None
