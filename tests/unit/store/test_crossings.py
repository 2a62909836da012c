"""Rows on their way between PostgreSQL and SQLite files: all kinds of them, both ways, of one moment."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from clary.store import crossings, schema
from clary.store.engine import Database, SqliteDatabase
from clary.store.errors import StoreFailed
from clary.store.objects_schema import buckets, contents, events
from clary.store.postgres import PostgresDatabase
from databases import PostgresServer, fresh_urls

pytestmark = pytest.mark.slow
COMPONENTS = {"records": schema.RECORDS, "objects": schema.OBJECTS, "logs": schema.LOGS}
ROWS = 3
TEXT = ["plain", "ü/日本/🙂'\"\\%", ""]
VALUES: dict[type, list[Any]] = {
    sa.String: TEXT,
    sa.Text: TEXT,
    sa.JSON: [{}, {"a": [1, 2.5, None, "ü\x00"]}, [1]],
    sa.LargeBinary: [b"", b"\x00\xff%s", bytes(range(256))],
    sa.Float: [0.0, 1_700_000_000.123456, -1e300],
    sa.Boolean: [False, True, False],
    sa.Integer: [0, 7, -1],
    sa.BigInteger: [0, 2**62, -1],
}


def value(column: sa.Column[Any], row: int) -> Any:
    """Of a row's column: unlike the other rows' where it has to be."""
    if column.nullable and row == 1:
        return None
    if column.foreign_keys or (isinstance(column.type, sa.Integer) and column.primary_key):
        return row + 1
    if column.primary_key or column.unique or (isinstance(column.type, sa.LargeBinary) and column.name == "key"):
        return f"{column.name}-{row}".encode() if isinstance(column.type, sa.LargeBinary) else f"{column.name}-{row}"
    kind = next(each for each in VALUES if isinstance(column.type, each))
    return VALUES[kind][row]


def rows_of(table: sa.Table) -> list[dict[str, Any]]:
    return [{column.name: value(column, row) for column in table.columns} for row in range(ROWS)]


def all_rows(database: Database, tables: sa.MetaData) -> dict[str, list[dict[str, Any]]]:
    def work(connection: Any) -> dict[str, list[dict[str, Any]]]:
        found = {}
        for table in tables.sorted_tables:
            rows = connection.execute(sa.select(table).order_by(*table.primary_key.columns)).mappings()
            found[table.name] = [dict(row) for row in rows]
        return found

    return database.read(work)


def fill(database: Database, tables: sa.MetaData) -> None:
    for table in tables.sorted_tables:
        database.write(lambda connection, table=table: connection.execute(table.insert(), rows_of(table)))


@pytest.fixture
def urls(postgres_server: PostgresServer) -> Iterator[Callable[[], str]]:
    with fresh_urls(postgres_server) as fresh:
        yield fresh


def untold(_done: int, _total: int) -> None:
    """Nobody hears."""


def test_every_row_arrives_both_ways(urls: Callable[[], str], tmp_path: Path) -> None:
    first, second = urls(), urls()
    opened = {name: PostgresDatabase(first, tables) for name, tables in COMPONENTS.items()}
    for name, database in opened.items():
        fill(database, COMPONENTS[name])
    told: list[tuple[int, int]] = []
    with crossings.moment(first) as seen:
        fill_more(opened["objects"])
        crossings.take_out(first, seen, COMPONENTS, tmp_path, lambda *at: told.append(at))
    total = sum(ROWS * len(tables.sorted_tables) for tables in COMPONENTS.values())
    assert told[-1] == (total, total)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["logs.db", "objects.db", "records.db"]
    crossings.check_empty(second, COMPONENTS)
    crossings.put_in(second, COMPONENTS, tmp_path, untold)
    for name, tables in COMPONENTS.items():
        wanted = {table.name: rows_of(table) for table in tables.sorted_tables}
        copied, restored = SqliteDatabase(str(tmp_path / f"{name}.db"), tables), PostgresDatabase(second, tables)
        for database in (copied, restored):
            found = all_rows(database, tables)
            for table, rows in wanted.items():
                assert sorted(found[table], key=repr) == sorted(rows, key=repr), (name, table)
            database.close()
        opened[name].close()
    check_numbers(second)


def fill_more(objects: Database) -> None:
    """After the moment."""
    row = {**rows_of(buckets)[0], "name": "late"}
    objects.write(lambda connection: connection.execute(buckets.insert(), [row]))


def check_numbers(url: str) -> None:
    """The next row of a table that counts is behind those that are there."""
    objects = PostgresDatabase(url, schema.OBJECTS)
    try:
        for table in (contents, events):
            given = {name: each for name, each in rows_of(table)[0].items() if name != "id"}
            made = objects.write(lambda connection, table=table, given=given: connection.execute(table.insert(), given))
            assert made.inserted_primary_key[0] == ROWS + 1
    finally:
        objects.close()


def test_nothing_is_there_of_what_was_not_put_in_whole(urls: Callable[[], str], tmp_path: Path) -> None:
    for name, tables in COMPONENTS.items():
        database = SqliteDatabase(str(tmp_path / f"{name}.db"), tables)
        fill(database, tables)
        database.close()
    url, left = urls(), itertools.count(-5)

    def interrupt(_done: int, _total: int) -> None:
        if next(left) == 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        crossings.put_in(url, COMPONENTS, tmp_path, interrupt)
    crossings.check_empty(url, COMPONENTS)
    crossings.put_in(url, COMPONENTS, tmp_path, untold)
    for attempt in (
        lambda: crossings.check_empty(url, COMPONENTS),
        lambda: crossings.put_in(url, COMPONENTS, tmp_path, untold),
    ):
        with pytest.raises(StoreFailed, match="tables of a Clary"):
            attempt()


def test_a_moment_is_of_its_database_and_ends(urls: Callable[[], str], tmp_path: Path) -> None:
    url, other = urls(), urls()
    for each in (url, other):
        PostgresDatabase(each, schema.OBJECTS).close()
    wanted = {"objects": schema.OBJECTS}
    with crossings.moment(url) as seen, pytest.raises(StoreFailed):
        crossings.take_out(other, seen, wanted, tmp_path, untold)
    with pytest.raises(StoreFailed):
        crossings.take_out(url, seen, wanted, tmp_path, untold)
    with pytest.raises(StoreFailed), crossings.moment("postgresql://nobody@127.0.0.1:1/none"):
        pass
