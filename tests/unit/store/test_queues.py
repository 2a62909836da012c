"""Queues of records, on every database; which plan SQLite has for each question about them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from clary.store import queues, records
from clary.store.engine import Database, SqliteDatabase
from clary.store.queues import Due
from clary.store.records import Record
from clary.store.schema import RECORDS
from databases import open_database


@pytest.fixture
def database(tmp_path: Any, database_urls: Callable[[], str]) -> Iterator[Database]:
    made = open_database(database_urls(), tmp_path, RECORDS)
    yield made
    made.close()


def add(database: Database, name: str, created: float, **changes: Any) -> Record:
    plain = Record("job", "1", "r", f"arn:{name}", name, "On", created, created, {})
    record = dataclasses.replace(plain, **changes)
    database.write(lambda connection: records.insert(connection, record))
    return record


def look(database: Database, now: float = 10.0) -> Due:
    return database.read(lambda connection: queues.due(connection, "job", ("On", "Ending"), "room", now))


def test_of_a_queue_only_the_first_is_due(database: Database) -> None:
    add(database, "b", 2.0, queue="room")
    add(database, "a", 2.0, queue="room")
    add(database, "free", 3.0)
    add(database, "ending", 1.0, status="Ending")
    add(database, "over", 0.0, status="Off")
    add(database, "other", 0.0, queue="elsewhere")
    add(database, "another", 0.0, kind="endpoint")
    assert look(database) == Due([(1.0, "arn:ending"), (2.0, "arn:a"), (3.0, "arn:free")], math.inf)


def test_who_has_waited_long_enough_is_due_before_its_turn(database: Database) -> None:
    add(database, "first", 1.0, queue="room", until=30.0)
    add(database, "second", 2.0, queue="room", until=10.0)
    assert look(database, now=9.0) == Due([(1.0, "arn:first")], 10.0)
    assert look(database, now=10.0) == Due([(1.0, "arn:first"), (2.0, "arn:second")], 30.0)


def test_a_replaced_record_has_left_its_queue(database: Database) -> None:
    waits = add(database, "a", 1.0, queue="room", until=5.0)
    add(database, "b", 2.0, queue="room")
    kept = database.write(lambda connection: records.replace(connection, waits, queue="room", until=7.0))
    assert look(database, now=6.0).later == 7.0
    left = database.write(lambda connection: records.replace(connection, kept, document={"x": 1}))
    assert (left.queue, left.until) == ("", None)
    assert database.read(lambda connection: records.by_arn(connection, "arn:a")) == left
    assert look(database) == Due([(1.0, "arn:a"), (2.0, "arn:b")], math.inf)


def test_those_ahead_are_counted_as_far_as_asked(database: Database) -> None:
    for number in range(5):
        add(database, f"j{number}", 1.0, queue="room")
    add(database, "young", 2.0, queue="room")
    me = Record("job", "1", "r", "arn:j4", "j4", "On", 1.0, 1.0, {})
    count = [database.read(lambda c, most=most: queues.ahead(c, me, "room", most)) for most in (1, 3, 4, 9)]
    assert count == [1, 3, 4, 4]
    found = database.read(lambda connection: queues.members(connection, "job", ("On",), "room"))
    assert [each.name for each in found] == ["j0", "j1", "j2", "j3", "j4", "young"]


def test_nothing_is_searched_through(tmp_path: Path) -> None:
    database = SqliteDatabase(str(tmp_path / "records.db"), RECORDS)
    me = Record("job", "1", "r", "arn:me", "me", "On", 1.0, 1.0, {})
    said: list[str] = []

    def work(connection: sa.Connection) -> None:
        driver: Any = connection.connection.driver_connection
        texts: list[str] = []
        driver.set_trace_callback(texts.append)
        queues.due(connection, "job", ("On",), "room", 1.0)
        queues.ahead(connection, me, "room", 10)
        driver.set_trace_callback(None)
        for text in texts:
            said.extend(row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {text}"))

    database.read(work)
    database.close()
    steps = [each for each in said if "records" in each]
    assert len(steps) == 5 and all("records_by_kind" in each or "records_by_until" in each for each in steps)
    assert not any("TEMP B-TREE" in each or "SCAN records" in each for each in said)
