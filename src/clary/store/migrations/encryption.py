"""Objects, version 3 to 4: objects and uploads say how their bytes are encrypted."""

from __future__ import annotations

from sqlalchemy.engine import Connection


def add(connection: Connection) -> None:
    for table in ("objects", "versions", "uploads"):
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN encryption JSON")
