"""Between PostgreSQL and SQLite files: every row of every table, read and written as the tables say.

What is taken out of PostgreSQL is as it stood at one moment, while others write. What is put in is there in one
transaction or not at all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.store import migrations
from clary.store.engine import SqliteDatabase
from clary.store.errors import StoreFailed
from clary.store.postgres import address, lock

Tell = Callable[[int, int], None]  # (rows that are done, of how many)

_BATCH = 1000  # rows that are in memory at once
_FORWARD = "SELECT setval(pg_get_serial_sequence('{0}', '{1}'), max({1})) FROM {0} HAVING max({1}) IS NOT NULL"


@contextmanager
def moment(url: str) -> Iterator[str]:
    """Holds on to what is committed now; the name by which others that connect to the same database see that too, while
    this lasts. Raises StoreFailed."""
    with _connected(url, "REPEATABLE READ", postgresql_readonly=True) as connection:
        yield str(connection.scalar(sa.text("SELECT pg_export_snapshot()")))


def take_out(url: str, seen: str, components: Mapping[str, sa.MetaData], folder: Path, tell: Tell) -> None:
    """Copies the tables of each component to `<folder>/<name>.db`, as they stood at the moment `seen`. Raises
    StoreFailed, also when the moment is over or of another database; what `tell` raises ends the copying."""
    with _connected(url, "REPEATABLE READ", postgresql_readonly=True) as connection:
        connection.exec_driver_sql(f"SET TRANSACTION SNAPSHOT '{_quoted(seen)}'")
        told = _Told(tell, sum(_size(tables, connection) for tables in components.values()))
        for name, tables in components.items():
            file = folder / f"{name}.db"
            with closing(SqliteDatabase(str(file), tables)) as target:
                for table in tables.sorted_tables:
                    for rows in _rows(connection, table):
                        target.write(partial(_insert, table=table, rows=rows))
                        told.more(len(rows))
            with closing(sqlite3.connect(file)) as copied:
                copied.execute("PRAGMA journal_mode=DELETE")  # one file, and no log beside it


def check_empty(url: str, components: Mapping[str, sa.MetaData]) -> None:
    """Raises StoreFailed when the database has one of these tables, or does not answer."""
    with _connected(url, "SERIALIZABLE") as connection:
        _check_empty(connection, components)


def put_in(url: str, components: Mapping[str, sa.MetaData], folder: Path, tell: Tell) -> None:
    """Fills an empty database with what is in `<folder>/<name>.db`, which are brought up to date before. Raises
    StoreFailed, and StoreTooNew."""
    sources = {name: SqliteDatabase(str(folder / f"{name}.db"), tables) for name, tables in components.items()}
    try:
        with _connected(url, "SERIALIZABLE") as connection:
            for tables in components.values():
                lock(connection, tables)
            _check_empty(connection, components)
            told = _Told(tell, sum(each.read(partial(_size, components[name])) for name, each in sources.items()))
            for name, tables in components.items():
                migrations.apply(connection, tables)
                sources[name].read(partial(_copy, target=connection, tables=tables, told=told))
    finally:
        for each in sources.values():
            each.close()


class _Told:
    def __init__(self, tell: Tell, total: int) -> None:
        self._tell, self._done, self._total = tell, 0, total

    def more(self, rows: int) -> None:
        self._done += rows
        self._tell(self._done, self._total)


@contextmanager
def _connected(url: str, isolation: Any, **options: Any) -> Iterator[Connection]:
    """A connection in a transaction, which is committed when the block ends without an error."""
    engine = sa.create_engine(address(url), poolclass=sa.NullPool, isolation_level=isolation, hide_parameters=True)
    try:
        with engine.execution_options(**options).begin() as connection:
            yield connection
    except sa.exc.DBAPIError as error:
        raise StoreFailed(str(error.orig).strip().partition("\n")[0]) from error
    finally:
        engine.dispose()


def _rows(source: Connection, table: sa.Table) -> Iterator[list[dict[str, Any]]]:
    found = source.execute(sa.select(table), execution_options={"yield_per": _BATCH})
    for part in found.mappings().partitions():
        yield [dict(row) for row in part]


def _insert(connection: Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    connection.execute(table.insert(), list(rows))


def _copy(source: Connection, target: Connection, tables: sa.MetaData, told: _Told) -> None:
    for table in tables.sorted_tables:
        for rows in _rows(source, table):
            _insert(target, table, rows)
            told.more(len(rows))
        column = table.autoincrement_column
        if column is not None:  # the next number is one that no row has
            target.exec_driver_sql(_FORWARD.format(table.name, column.name))


def _size(tables: sa.MetaData, connection: Connection) -> int:
    """How many rows there are in all."""
    counts = (sa.select(sa.func.count()).select_from(table) for table in tables.sorted_tables)
    return sum(connection.scalar(each) or 0 for each in counts)


def _check_empty(connection: Connection, components: Mapping[str, sa.MetaData]) -> None:
    ours = {table.name for tables in components.values() for table in tables.sorted_tables}
    if ours.intersection(sa.inspect(connection).get_table_names()):
        raise StoreFailed("there are tables of a Clary in it already: drop the database, and make it anew")


def _quoted(text: str) -> str:
    return text.replace("'", "''")
