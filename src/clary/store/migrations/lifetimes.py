"""Records: listings in the order of one time are bounded by the other within the longest lifetime of a record."""

from __future__ import annotations

from sqlalchemy.engine import Connection


def add(connection: Connection) -> None:
    connection.exec_driver_sql(
        "CREATE INDEX IF NOT EXISTS records_by_lifetime ON records (account, region, kind, (modified - created))"
    )
