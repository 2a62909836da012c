"""Reads of the embedded store: how many at once, what they see, what becomes of a broken connection."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.store.engine import SqliteDatabase
from clary.store.prepared import Prepared

TABLES = sa.MetaData(info={"component": "readers"})
things = sa.Table("things", TABLES, sa.Column("id", sa.Integer, primary_key=True))
COUNT = Prepared(sa.select(sa.func.count()).select_from(things))
AT_ONCE = 16


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    database = SqliteDatabase(str(tmp_path / "a.db"), TABLES)
    yield database
    database.close()


def count(connection: Connection) -> int:
    row = COUNT.first(connection, {})
    assert row is not None
    return int(row[0])


def plain(connection: Connection) -> int:
    """The same, not prepared."""
    return int(connection.scalars(sa.select(sa.func.count(things.c.id))).one())


def test_reads_are_bounded_and_who_waits_gets_a_turn(database: SqliteDatabase) -> None:
    together, state = threading.Barrier(AT_ONCE), threading.Lock()
    running, most = [0], [0]

    def work(connection: Connection) -> int:
        with state:
            running[0] += 1
            most[0] = max(most[0], running[0])
        together.wait(20)
        with state:
            running[0] -= 1
        return count(connection)

    with ThreadPoolExecutor(3 * AT_ONCE) as pool:
        reads = [pool.submit(database.read, work) for _ in range(3 * AT_ONCE)]
        assert [each.result(20) for each in reads] == [0] * 3 * AT_ONCE
    assert most == [AT_ONCE]


@pytest.mark.parametrize(
    "statement", [count, lambda connection: connection.scalar(sa.select(sa.func.count(things.c.id)))]
)
def test_a_read_sees_one_state_whatever_asks(database: SqliteDatabase, statement: Any) -> None:
    def work(connection: Connection) -> tuple[int, int, int]:
        before = count(connection)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(database.write, lambda other: other.execute(things.insert())).result(20)
        return before, statement(connection), count(connection)

    assert database.read(work) == (0, 0, 0)
    assert database.read(work) == (1, 1, 1)


def test_a_read_cannot_write(database: SqliteDatabase) -> None:
    enter = Prepared(things.insert())
    with pytest.raises(sa.exc.OperationalError, match="readonly"):
        database.read(lambda connection: enter.run(connection, {"id": 1}))
    assert database.read(count) == 0


def test_a_connection_that_broke_is_replaced(database: SqliteDatabase) -> None:
    def breaking(connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        driver.close()

    for _ in range(2 * AT_ONCE):
        database.read(breaking)
    assert database.read(count) == 0
