"""What every `Database` does. A test class inherits `DatabaseConformance` and gives the fixtures `database` (open, with
`TABLES`), and `reopen` (a function that opens another handle on the same data)."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.store import listings, records
from clary.store.engine import Database
from clary.store.errors import StoreClosed
from clary.store.listings import Listing
from clary.store.records import Changed, NameTaken, Query, Record
from clary.store.schema import RECORDS

TABLES = RECORDS
Reopen = Callable[[], Database]


def record(name: str, created: float = 1.0, **changes: Any) -> Record:
    values: dict[str, Any] = {"status": "InService", "modified": created, "document": {"Name": name}} | changes
    told = json.dumps(name)
    return Record("thing", "1", "r", f"arn:{name}", name, created=created, summary=told, **values)


def inserting(name: str, created: float = 1.0) -> Callable[[Connection], None]:
    return lambda connection: records.insert(connection, record(name, created))


def names(database: Database, **query: Any) -> list[str]:
    wanted = Listing("thing", "1", "r", **query)
    page = database.read(lambda connection: listings.page(connection, wanted))
    found: list[str] = json.loads(f"[{page.summaries}]")
    return found


_ORDERS: dict[str, Callable[[Record], Any]] = {
    "name": lambda each: each.name,
    "created": lambda each: (each.created, each.arn),
    "modified": lambda each: (each.modified, each.arn),
    "status": lambda each: (each.status, each.created, each.arn),
}
_KEEPS: dict[str, Callable[[Record, Any], bool]] = {
    "status": lambda each, value: each.status == value,
    "name_contains": lambda each, value: value in (each.name or ""),
    "created_after": lambda each, value: each.created > value,
    "created_before": lambda each, value: each.created < value,
    "modified_after": lambda each, value: each.modified > value,
    "modified_before": lambda each, value: each.modified < value,
}
_FILTERS: list[dict[str, Any]] = [
    {},
    {"status": "a"},
    {"name_contains": "3"},
    {"created_after": 5.0, "created_before": 15.0},
    {"modified_after": 5.0, "modified_before": 12.0},
    {"created_after": 9.0, "status": "b"},
    {"modified_before": 15.0, "created_after": 4.0, "name_contains": "1", "status": "a"},
]


class DatabaseConformance:
    """What every database must do; a subclass has the fixtures `database` and `reopen`."""

    def test_what_was_written_is_read_and_survives_closing(self, database: Database, reopen: Reopen) -> None:
        database.write(inserting("a"))
        found = database.write(lambda connection: records.by_arn(connection, "arn:a"))
        assert found == record("a")
        assert names(database) == ["a"]
        database.close()
        again = reopen()
        assert names(again) == ["a"]
        again.close()

    def test_a_work_that_raises_leaves_nothing(self, database: Database) -> None:
        def work(connection: Connection) -> None:
            records.insert(connection, record("a"))
            raise LookupError("mine")

        with pytest.raises(LookupError, match="mine"):
            database.write(work)
        assert names(database) == []
        database.write(inserting("b"))
        assert names(database) == ["b"]

    def test_a_read_cannot_write(self, database: Database) -> None:
        with pytest.raises(sa.exc.DBAPIError):
            database.read(inserting("a"))
        assert names(database) == []

    def test_a_read_sees_one_moment(self, database: Database) -> None:
        database.write(inserting("a"))

        def twice(connection: Connection) -> tuple[int, int]:
            query = Query("thing", "1", "r")
            before = len(records.select(connection, query))
            thread = threading.Thread(target=lambda: database.write(inserting("b")))
            thread.start()
            thread.join(20)
            return before, len(records.select(connection, query))

        assert database.read(twice) == (1, 1)
        assert names(database) == ["a", "b"]

    def test_one_of_many_creates_of_a_name_wins(self, database: Database) -> None:
        start = threading.Barrier(8)

        def create(number: int) -> str:
            start.wait()
            try:
                database.write(lambda connection: records.insert(connection, record("same", float(number))))
            except NameTaken as error:
                return error.arn
            return "won"

        with ThreadPoolExecutor(8) as pool:
            assert sorted(pool.map(create, range(8))) == ["arn:same"] * 7 + ["won"]

    def test_no_update_is_lost(self, database: Database) -> None:
        database.write(lambda connection: records.insert(connection, record("n", document={"n": 0})))

        def add(connection: Connection) -> None:
            found = records.by_arn(connection, "arn:n")
            assert found is not None
            records.replace(connection, found, document={"n": found.document["n"] + 1})

        with ThreadPoolExecutor(6) as pool:
            for done in [pool.submit(database.write, add) for _ in range(60)]:
                done.result()
        found = database.read(lambda connection: records.by_arn(connection, "arn:n"))
        assert found is not None
        assert (found.document, found.version) == ({"n": 60}, 61)

    def test_a_stale_record_is_neither_replaced_nor_deleted(self, database: Database) -> None:
        database.write(inserting("a"))
        stale = record("a")
        database.write(lambda connection: records.replace(connection, stale, status="Deleting"))
        for change in (records.delete, records.replace):
            with pytest.raises(Changed):
                database.write(functools.partial(change, record=stale))

    def test_among_concurrent_writes_only_the_broken_ones_fail(self, database: Database) -> None:
        def work(number: int) -> Callable[[Connection], int]:
            def run(connection: Connection) -> int:
                records.insert(connection, record(f"{number:03}"))
                if number % 3 == 0:
                    raise LookupError(str(number))
                return number

            return run

        def attempt(number: int) -> int | None:
            try:
                return database.write(work(number))
            except LookupError as error:
                assert str(error) == str(number)
                return None

        with ThreadPoolExecutor(16) as pool:
            results = list(pool.map(attempt, range(90)))
        assert results == [None if number % 3 == 0 else number for number in range(90)]
        assert names(database, sort="name") == [f"{number:03}" for number in range(90) if number % 3]

    def test_listings_seek_in_order_without_gaps_or_repeats(self, database: Database) -> None:
        given = ["a", "B", "_", "a-1", "Z", "é", "z"]

        def fill(connection: Connection) -> None:
            for number, name in enumerate(given):
                records.insert(connection, record(name, created=float(number // 2)))

        database.write(fill)
        for sort in ("name", "created"):
            for descending in (False, True):
                seen = list(_pages(database, 2, sort=sort, descending=descending))
                key = {"name": lambda name: name, "created": lambda name: (given.index(name) // 2, f"arn:{name}")}[sort]
                assert seen == sorted(given, key=key, reverse=descending)

    def test_every_order_and_filter_gives_what_sorting_and_filtering_by_hand_gives(self, database: Database) -> None:
        made = [
            record(
                f"{number * 7 % 60:02}",
                float(number // 3),
                status="ab"[number % 2],
                modified=float(number // 3 + number % 5),
            )
            for number in range(60)
        ]

        def fill(connection: Connection) -> None:
            for each in made:
                records.insert(connection, each)

        database.write(fill)
        for sort, filters, descending in itertools.product(_ORDERS, _FILTERS, (False, True)):
            wanted = [each for each in made if all(_KEEPS[name](each, value) for name, value in filters.items())]
            wanted.sort(key=_ORDERS[sort], reverse=descending)
            seen = list(_pages(database, 7, sort=sort, descending=descending, **filters))
            assert seen == [each.name for each in wanted], (sort, filters, descending)

    def test_name_contains_takes_every_character_for_itself(self, database: Database) -> None:
        for name in ("a%b", "a_b", "axb", "AXB"):
            database.write(inserting(name))
        assert names(database, sort="name", name_contains="%") == ["a%b"]
        assert names(database, sort="name", name_contains="_b") == ["a_b"]
        assert names(database, sort="name", name_contains="xb") == ["axb"]

    def test_documents_come_back_as_they_went_in(self, database: Database) -> None:
        document = {"t": 1.7e9 + 0.123, "nul": "a\0b", "n": None, "l": [{}, [], "é\U0001f600"], "i": 2**60, "b": False}
        database.write(lambda connection: records.insert(connection, record("a", document=document)))
        found = database.read(lambda connection: records.by_arn(connection, "arn:a"))
        assert found == record("a", document=document)

    def test_error_texts_tell_no_parameters(self, database: Database) -> None:
        database.write(inserting("a"))
        again = dataclasses.asdict(record("a", document={"SecretAccessKey": "sesame"}))
        with pytest.raises(sa.exc.DBAPIError) as caught:
            database.write(lambda connection: connection.execute(TABLES.tables["records"].insert().values(again)))
        assert "sesame" not in str(caught.value)

    def test_calls_after_close_are_refused(self, database: Database) -> None:
        database.close()
        for call in (database.read, database.write):
            with pytest.raises(StoreClosed):
                call(lambda connection: None)


def _pages(database: Database, size: int, **query: Any) -> Iterator[str]:
    """The names on all pages."""
    after = None
    while True:
        listing = Listing("thing", "1", "r", after=after, limit=size, **query)
        page = database.read(functools.partial(listings.page, listing=listing))
        yield from json.loads(f"[{page.summaries}]")
        if page.last is None:
            return
        after = page.last
