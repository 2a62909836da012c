"""Objects, version 4 to 5: archived objects say until when they are restored."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection


def add(connection: Connection) -> None:
    there = sa.inspect(connection).get_table_names()
    for table in {"objects", "versions"}.intersection(there):
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN restored FLOAT")
        connection.exec_driver_sql(f"CREATE INDEX {table}_by_restored ON {table} (restored) WHERE restored IS NOT NULL")
