"""Objects, version 3 to 4: objects and uploads say how their bytes are encrypted."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection


def add(connection: Connection) -> None:
    there = sa.inspect(connection).get_table_names()
    for table in {"objects", "versions", "uploads"}.intersection(there):  # before version 3 there were no versions
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN encryption JSON")
