"""From the tables as an earlier release left them to the tables of this one, inside the transaction that opens them.

Version 1 is the first release. A component (`MetaData.info["component"]`: records, objects, logs) is at version
1 + the number of its steps; step n takes it from version n to n + 1. A step changes tables that exist, by SQL of its
own (never by today's schema, which later steps change again); wholly new tables need none. Steps are never edited or
removed once released.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.store.errors import StoreTooNew
from clary.store.migrations import (
    deliveries,
    encryption,
    identities,
    lifetimes,
    queues,
    restorations,
    summaries,
    versions,
)

Step = Callable[[Connection], None]


def _contents_of_small_objects(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE objects ADD COLUMN content BIGINT")


STEPS: Mapping[str, Sequence[Step]] = {
    "records": (summaries.add, identities.add, queues.add, lifetimes.add, deliveries.add),
    "objects": (_contents_of_small_objects, versions.add, encryption.add, restorations.add),
    "logs": (),
}

_VERSIONS = sa.Table(
    "schema_version",
    sa.MetaData(),
    sa.Column("component", sa.String, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
)


def apply(connection: Connection, tables: sa.MetaData, steps: Mapping[str, Sequence[Step]] = STEPS) -> None:
    """Creates or migrates `tables` inside the caller's transaction. Raises StoreTooNew, and what a step raises."""
    component = str(tables.info.get("component", ""))
    due = steps.get(component, ())
    _VERSIONS.create(connection, checkfirst=True)
    mine = _VERSIONS.c.component == component
    version = connection.execute(sa.select(_VERSIONS.c.version).where(mine)).scalar()
    if version is None:
        connection.execute(_VERSIONS.insert().values(component=component, version=1 + len(due)))
    elif version > 1 + len(due):
        raise StoreTooNew(
            f"This home's data ({component}) was written by a newer Clary: it is at version {version}, "
            f"this one knows {1 + len(due)}. Upgrade Clary, or use another --home."
        )
    else:
        for step in due[version - 1 :]:
            step(connection)
        connection.execute(_VERSIONS.update().where(mine).values(version=1 + len(due)))
    if connection.dialect.name == "postgresql":
        _take_conditions(tables)
    tables.create_all(connection)


def _take_conditions(tables: sa.MetaData) -> None:
    """Those of partial indexes hold here too. They are declared for SQLite: to name PostgreSQL beside it would load its
    dialect, 2 MB, wherever tables are declared."""
    for table in tables.tables.values():
        for index in table.indexes:
            index.dialect_options["postgresql"]["where"] = index.dialect_options["sqlite"]["where"]
