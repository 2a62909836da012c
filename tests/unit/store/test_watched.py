"""Who is told of which commits, over both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Set
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy.engine import Connection

from clary.store import records
from clary.store.engine import Database, SqliteDatabase
from clary.store.schema import RECORDS
from clary.store.watched import WatchedDatabase
from clary.testing.store_conformance import DatabaseConformance, Reopen, inserting
from databases import open_database


class TestContract(DatabaseConformance):
    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Reopen:
        return lambda: WatchedDatabase(SqliteDatabase(str(tmp_path / "a.db"), RECORDS), lambda _: None)

    @pytest.fixture
    def database(self, reopen: Reopen) -> Iterator[Database]:
        database = reopen()
        yield database
        database.close()


class Watched:
    """`told` is what each call said; each checks that the change can be read already."""

    def __init__(self, database: Database) -> None:
        self.told: list[Set[str]] = []
        self._mutex = threading.Lock()
        self._inner = database
        self.database = WatchedDatabase(database, self._tell)

    def _tell(self, arns: Set[str]) -> None:
        for arn in arns:
            found = self._inner.read(lambda connection, arn=arn: records.by_arn(connection, arn))  # type: ignore[misc]
            assert found is None or found.status == "changed"
        with self._mutex:
            self.told.append(frozenset(arns))


@pytest.fixture
def watched(database_urls: Callable[[], str], tmp_path: Path) -> Iterator[Watched]:
    database = open_database(database_urls(), tmp_path, RECORDS)
    yield Watched(database)
    database.close()


def change(*names: str) -> Callable[[Connection], None]:
    def work(connection: Connection) -> None:
        for name in names:
            record = records.by_arn(connection, f"arn:{name}")
            assert record
            records.replace(connection, record, status="changed")

    return work


def remove(connection: Connection) -> None:
    record = records.by_arn(connection, "arn:a")
    assert record
    records.delete(connection, record)


def test_changes_and_removals_are_told_after_their_commit(watched: Watched) -> None:
    for name in ("a", "b", "c"):
        watched.database.write(inserting(name))
    assert watched.told == []
    watched.database.write(change("a", "b"))
    watched.database.write(remove)
    watched.database.write(lambda connection: None)
    assert watched.told == [{"arn:a", "arn:b"}, {"arn:a"}]


def test_what_was_undone_is_not_told(watched: Watched) -> None:
    watched.database.write(inserting("a"))

    def work(connection: Connection) -> None:
        change("a")(connection)
        raise LookupError("mine")

    with pytest.raises(LookupError):
        watched.database.write(work)
    assert watched.told == []
    watched.database.write(lambda connection: None)
    assert watched.told == []


def test_each_of_many_writers_tells_of_its_own(watched: Watched) -> None:
    """On SQLite they share commits, on PostgreSQL connections."""
    names = [f"n{number}" for number in range(40)]
    for name in names:
        watched.database.write(inserting(name))
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda name: watched.database.write(change(name)), names))
    assert sorted(watched.told, key=sorted) == [{arn} for arn in sorted(f"arn:{name}" for name in names)]
