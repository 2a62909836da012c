"""The group commit of the embedded store: who pays for whose error."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection

from clary.store.engine import SqliteDatabase
from clary.store.errors import StoreFailed, StoreFull, StoreTooNew
from clary.store.migrations import Step, apply
from clary.store.objects_schema import buckets, objects, uploads
from clary.store.schema import OBJECTS

TABLES = sa.MetaData(info={"component": "test"})
things = sa.Table("things", TABLES, sa.Column("id", sa.Integer, primary_key=True), sa.Column("text", sa.Text))
# Its check happens at COMMIT: a commit that fails although every statement went well.
children = sa.Table(
    "children",
    TABLES,
    sa.Column("id", sa.Integer, sa.ForeignKey("things.id", deferrable=True, initially="DEFERRED"), primary_key=True),
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    database = SqliteDatabase(str(tmp_path / "a.db"), TABLES)
    yield database
    database.close()


def insert(number: int, text: str = "") -> Callable[[Connection], int]:
    def work(connection: Connection) -> int:
        connection.execute(things.insert().values(id=number, text=text))
        return number

    return work


def orphan(connection: Connection) -> None:
    connection.execute(children.insert().values(id=999))


def stored(database: SqliteDatabase) -> list[int]:
    return list(database.read(lambda connection: connection.execute(sa.select(things.c.id)).scalars()))


class Batch:
    """Makes several writes share one commit: a first write holds the lead until all others are queued."""

    def __init__(self, database: SqliteDatabase) -> None:
        self.database = database
        self.pool = ThreadPoolExecutor(16)

    def run(self, *works: Callable[[Connection], Any], first: Callable[[Connection], Any] | None = None) -> list[Any]:
        entered, release = threading.Event(), threading.Event()

        def hold(connection: Connection) -> Any:
            entered.set()
            assert release.wait(20)
            return first(connection) if first else None

        holder = self.pool.submit(self.database.write, hold)
        assert entered.wait(20)
        futures: list[Future[Any]] = []
        for number, work in enumerate(works):
            futures.append(self.pool.submit(self.database.write, work))
            wait_until(lambda number=number: len(self.database._queue) == number + 1)  # type: ignore[misc]
        release.set()
        return [each.exception(20) or each.result() for each in (holder, *futures)]


def wait_until(condition: Callable[[], bool]) -> None:
    tick = threading.Event()
    for _ in range(20_000):
        if condition():
            return
        tick.wait(0.001)
    pytest.fail("it did not happen")


@pytest.fixture
def batch(database: SqliteDatabase) -> Iterator[Batch]:
    batch = Batch(database)
    yield batch
    batch.pool.shutdown()


def test_what_waits_shares_one_commit(database: SqliteDatabase, batch: Batch) -> None:
    commits: list[int] = []
    event.listen(database._writer, "commit", lambda connection: commits.append(1))
    assert batch.run(*(insert(number) for number in range(12))) == [None, *range(12)]
    assert len(commits) == 1  # all the others'; the holder changed nothing
    assert stored(database) == list(range(12))


def test_queued_writes_run_in_their_order(batch: Batch) -> None:
    order: list[int] = []
    batch.run(*(lambda connection, number=number: order.append(number) for number in range(10)))  # type: ignore[misc]
    assert order == list(range(10))


def test_a_commit_that_fails_reaches_everyone_in_it_and_nobody_else(database: SqliteDatabase, batch: Batch) -> None:
    def own_error(connection: Connection) -> None:
        raise LookupError("judged by rows that were never there")

    holder, *others = batch.run(insert(1), orphan, insert(2), own_error, first=insert(0))
    assert holder == 0
    assert [type(each) for each in others] == [StoreFailed] * 4
    assert "FOREIGN KEY" in str(others[0].__cause__)
    assert stored(database) == [0]
    assert database.write(insert(5)) == 5


def test_a_full_disk_says_so_and_the_store_goes_on(database: SqliteDatabase, batch: Batch) -> None:
    database.write(lambda connection: connection.exec_driver_sql("PRAGMA max_page_count=20").fetchall())
    results = batch.run(insert(1), insert(2, "x" * 200_000))
    assert isinstance(results[2], StoreFull)
    assert (results[2].code, results[2].status) == ("ServiceUnavailable", 503)
    with pytest.raises(StoreFull):
        database.write(insert(3, "x" * 200_000))
    assert 2 not in stored(database)
    database.write(lambda connection: connection.exec_driver_sql("PRAGMA max_page_count=100000").fetchall())
    assert database.write(insert(4, "x" * 200_000)) == 4


def test_an_interrupted_leader_does_not_interrupt_the_others(database: SqliteDatabase, batch: Batch) -> None:
    calls: list[int] = []

    def interrupted(connection: Connection) -> None:
        calls.append(1)
        raise KeyboardInterrupt

    _, first, second, third = batch.run(interrupted, insert(1), insert(2))
    assert isinstance(first, KeyboardInterrupt)
    assert (second, third, len(calls)) == (1, 2, 1)
    assert stored(database) == [1, 2]


def test_closing_waits_for_the_write_that_runs(tmp_path: Path) -> None:
    database = SqliteDatabase(str(tmp_path / "b.db"), TABLES)
    entered, release = threading.Event(), threading.Event()

    def slow(connection: Connection) -> int:
        entered.set()
        assert release.wait(20)
        return insert(1)(connection)

    with ThreadPoolExecutor(2) as pool:
        writing = pool.submit(database.write, slow)
        assert entered.wait(20)
        closing = pool.submit(database.close)
        wait_until(lambda: database._closed)
        assert not closing.done()
        release.set()
        assert writing.result(20) == 1
        closing.result(20)
    again = SqliteDatabase(str(tmp_path / "b.db"), TABLES)
    assert stored(again) == [1]
    again.close()


def test_data_of_version_1_is_migrated_once(tmp_path: Path) -> None:
    old = sa.MetaData(info={"component": "test"})
    sa.Table("things", old, sa.Column("id", sa.Integer, primary_key=True))
    first = SqliteDatabase(str(tmp_path / "a.db"), old)
    first.write(lambda connection: connection.exec_driver_sql("INSERT INTO things VALUES (1)"))
    runs: list[str] = []

    def add_text(connection: Connection) -> None:
        runs.append("text")
        connection.exec_driver_sql("ALTER TABLE things ADD COLUMN text TEXT DEFAULT 'old'")

    for _ in range(2):
        first.write(lambda connection: apply(connection, TABLES, {"test": [add_text]}))
    assert runs == ["text"]
    rows = first.read(lambda connection: connection.execute(sa.select(things)).all())
    assert [tuple(row) for row in rows] == [(1, "old")]
    with pytest.raises(StoreTooNew, match="newer Clary"):
        SqliteDatabase(str(tmp_path / "a.db"), TABLES)
    first.close()


def test_a_migration_that_fails_leaves_everything_as_it_was(database: SqliteDatabase) -> None:
    def half(connection: Connection) -> None:
        connection.exec_driver_sql("ALTER TABLE things ADD COLUMN half TEXT")
        raise LookupError("broken step")

    steps: dict[str, list[Step]] = {"test": [half]}
    with pytest.raises(LookupError):
        database.write(lambda connection: apply(connection, TABLES, steps))
    columns = database.read(lambda connection: [each["name"] for each in sa.inspect(connection).get_columns("things")])
    assert columns == ["id", "text"]


def test_a_fresh_database_needs_no_steps(tmp_path: Path) -> None:
    def never(connection: Connection) -> None:
        pytest.fail("a step ran on fresh tables")

    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        apply(connection, TABLES, {"test": [never]})
        apply(connection, TABLES, {"test": [never]})
        assert connection.exec_driver_sql("SELECT version FROM schema_version").scalar() == 2
    engine.dispose()


def test_an_object_index_of_version_1_is_opened(tmp_path: Path) -> None:
    """It knew no small objects: all bytes were in files. Buckets were set to nothing."""
    later = {"content", "versioning", "settings", "acl", "lock", "encryption", "restored"}
    old = sa.MetaData(info={"component": "objects"})
    for today in (objects, buckets, uploads):
        columns = [column for column in today.columns if column.name not in later]
        sa.Table(today.name, old, *(sa.Column(each.name, each.type) for each in columns))
    table = old.tables["objects"]
    first = sa.create_engine(sa.URL.create("sqlite", database=str(tmp_path / "objects.db")))
    row = {"bucket": "b", "key": b"k", "version": "null", "blob": "file", "upload": "", "size": 3, "etag": "e"}
    row |= {"modified": 1.0, "storage_class": "STANDARD", "checksum": {}, "headers": {}, "metadata": {}, "tags": {}}
    with first.begin() as connection:
        apply(connection, old, {"objects": ()})
        connection.execute(table.insert(), row)
    first.dispose()
    database = SqliteDatabase(str(tmp_path / "objects.db"), OBJECTS)
    found = database.read(lambda connection: connection.execute(sa.select(objects)).mappings().one())
    assert dict(found) == {**row, "content": None, "acl": None, "lock": None, "encryption": None, "restored": None}
    database.close()
