"""Objects, version 2 to 3: buckets are set to something; objects have access lists and locks."""

from __future__ import annotations

from sqlalchemy.engine import Connection

_NEW = (
    ("buckets", "versioning VARCHAR NOT NULL DEFAULT ''"),
    ("buckets", "settings JSON"),
    ("objects", "acl JSON"),
    ("objects", "lock JSON"),
    ("uploads", "acl JSON"),
    ("uploads", "lock JSON"),
)


def add(connection: Connection) -> None:
    for table, column in _NEW:
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {column}")
