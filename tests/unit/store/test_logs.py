"""Log lines: each once, in order, found again by place and by time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clary.store import logs
from clary.store.engine import SqliteDatabase
from clary.store.logs import FIRST, Group, Span, Stream
from clary.store.schema import LOGS

NOW = 1_700_000_000.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    database = SqliteDatabase(str(tmp_path / "logs.db"), LOGS)
    yield database
    database.close()


Put = Callable[..., int]


@pytest.fixture
def put(database: SqliteDatabase) -> Put:
    def put(*events: tuple[int, str], position: int | None = None, stream: str = "s", group: str = "g") -> int:
        return database.write(lambda c: logs.append(c, "1", "r", group, stream, events, NOW, position))

    return put


def target(database: SqliteDatabase, stream: str = "s", group: str = "g") -> tuple[Group, Stream]:
    def work(connection: Any) -> tuple[Group, Stream]:
        found = logs.find_group(connection, "1", "r", group)
        assert found is not None
        inside = logs.find_stream(connection, found, stream)
        assert inside is not None
        return found, inside

    return database.read(work)


def lines(database: SqliteDatabase, **options: Any) -> list[str]:
    _, stream = target(database)
    arguments = {"after": FIRST, "limit": 100} | options
    return [each.message for each in database.read(lambda c: logs.forward(c, stream, **arguments))]


def test_the_first_line_makes_group_and_stream(database: SqliteDatabase, put: Put) -> None:
    put((5, "a"), (3, "b"))
    group, stream = target(database)
    assert (group.name, group.created, group.tags, group.retention_days) == ("g", int(NOW * 1000), {}, None)
    assert (stream.first_event, stream.last_event, stream.last_ingestion) == (3, 5, int(NOW * 1000))
    assert stream.bytes == 2
    assert lines(database) == ["b", "a"]


def test_a_batch_sent_twice_is_stored_once(database: SqliteDatabase, put: Put) -> None:
    assert put((1, "é"), (1, "two"), position=0) == 3 + 4
    assert put((1, "é"), (1, "two"), position=0) == 7
    assert put((2, "three"), position=7) == 13
    assert put((9, "a gap"), position=99) == 13
    assert put(position=13) == 13
    assert lines(database) == ["é", "two", "three"]


def test_batches_without_position_do_not_disturb_those_with(database: SqliteDatabase, put: Put) -> None:
    put((1, "a"), position=0)
    assert put((2, "by hand")) == 2
    assert put((3, "b"), position=2) == 4
    assert lines(database) == ["a", "by hand", "b"]


def test_any_text_comes_back(database: SqliteDatabase, put: Put) -> None:
    texts = ["nul \0 inside", "", "\r\n\t", "\U0001f600", "x" * 262_144]
    put(*((1, text) for text in texts))
    assert lines(database) == texts
    put((2, "lone \ud800"))
    assert lines(database)[-1] == "lone ?"


@given(texts=st.lists(st.text(st.characters()), min_size=1, max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_batch_comes_back_letter_by_letter(database: SqliteDatabase, texts: list[str]) -> None:
    events = [(number, text) for number, text in enumerate(texts)]
    expected = [text.encode("utf-8", "replace").decode() for text in texts]

    def work(connection: Any) -> list[str]:
        group = logs.find_group(connection, "1", "r", "letters")
        if group is not None:
            logs.delete_group(connection, group)
        logs.append(connection, "1", "r", "letters", "s", events, NOW)
        found = logs.find_group(connection, "1", "r", "letters")
        assert found is not None
        stream = logs.find_stream(connection, found, "s")
        assert stream is not None and stream.bytes == sum(len(each.encode()) for each in expected)
        return [event.message for event in logs.forward(connection, stream, FIRST, 10)]

    assert database.write(work) == expected


def test_reading_on_from_a_cursor_both_ways(database: SqliteDatabase, put: Put) -> None:
    put(*((at // 3, str(at)) for at in range(30)))
    _, stream = target(database)
    seen, cursor = [], FIRST
    while page := database.read(lambda c, cursor=cursor: logs.forward(c, stream, cursor, 7)):  # type: ignore[misc]
        seen += page
        cursor = (page[-1].timestamp, page[-1].sequence)
    assert [each.message for each in seen] == [str(at) for at in range(30)]
    back, before = [], None
    while page := database.read(lambda c, before=before: logs.backward(c, stream, before, 7)):  # type: ignore[misc]
        back += page
        before = (page[-1].timestamp, page[-1].sequence)
    assert back == seen[::-1]


def test_a_span_holds_its_start_and_not_its_end(database: SqliteDatabase, put: Put) -> None:
    put(*((at, str(at)) for at in range(10)))
    assert lines(database, span=Span(3, 6)) == ["3", "4", "5"]
    assert lines(database, span=Span(end=2)) == ["0", "1"]


def test_across_streams_by_time(database: SqliteDatabase, put: Put) -> None:
    for name in ("a", "b", "c"):
        put(*((at, f"{name}{at}") for at in range(3)), stream=name)
    put((1, "elsewhere"), group="other")
    group, chosen = target(database, "a")
    _, other = target(database, "c")
    found = database.read(lambda c: list(logs.across(c, group, None, None, 100)))
    assert [each.message for each in found] == ["a0", "b0", "c0", "a1", "b1", "c1", "a2", "b2", "c2"]
    last = found[3]
    after = (last.timestamp, last.stream_id, last.sequence)
    rest = database.read(lambda c: list(logs.across(c, group, [chosen.id, other.id], after, 100)))
    assert [each.message for each in rest] == ["c1", "a2", "c2"]


def test_deleting_takes_everything_below(database: SqliteDatabase, put: Put) -> None:
    put((1, "a"))
    put((1, "b"), stream="t")
    group, stream = target(database)
    database.write(lambda c: logs.delete_stream(c, stream))
    assert database.read(lambda c: [each.message for each in logs.across(c, group, None, None, 9)]) == ["b"]
    database.write(lambda c: logs.delete_group(c, group))
    assert database.read(lambda c: logs.find_group(c, "1", "r", "g")) is None
    assert database.read(lambda c: list(logs.across(c, group, None, None, 9))) == []


def test_streams_page_by_name_and_by_time(database: SqliteDatabase, put: Put) -> None:
    for at, name in enumerate(["job/b", "job/a", "job_x", "other"]):
        put((at, ""), stream=name)
    group, _ = target(database, "other")
    database.write(lambda c: logs.create_stream(c, group, "empty", NOW))

    def paged(**options: Any) -> list[str]:
        names: list[str] = []
        after = None
        while True:
            found = database.read(lambda c, after=after: logs.streams(c, group, after=after, limit=1, **options))
            if not found:
                return names
            names.append(found[0].name)
            after = (found[0].last_event or 0, found[0].name)

    assert paged() == ["empty", "job/a", "job/b", "job_x", "other"]
    assert paged(descending=True) == ["other", "job_x", "job/b", "job/a", "empty"]
    assert paged(prefix="job/") == ["job/a", "job/b"]
    assert paged(prefix="job_") == ["job_x"]
    assert paged(by_time=True, descending=True) == ["other", "job_x", "job/a", "job/b", "empty"]


def test_reading_follows_an_index_however_long_the_log_is(database: SqliteDatabase, put: Put) -> None:
    """No plan scans a table or sorts: so a page costs the same at a million lines."""
    put((1, "a"))
    group, stream = target(database)
    plans: list[str] = []

    def explained(connection: Any) -> None:
        execute = connection.execute

        def spy(statement: Any, *rest: Any) -> Any:
            text = str(statement.compile(connection, compile_kwargs={"literal_binds": True}))
            plans.extend(row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}"))
            return execute(statement, *rest)

        connection.execute = spy
        try:
            logs.forward(connection, stream, FIRST, 10, Span(1, 2))
            logs.backward(connection, stream, (9, 9), 10)
            list(logs.across(connection, group, None, (1, 1, 1), 10, Span(1, 2)))
            logs.find_stream(connection, group, "s")
            logs.streams(connection, group, after=(0, "a"))
        finally:
            del connection.execute

    database.read(explained)
    assert plans
    assert [plan for plan in plans if "SCAN" in plan or "TEMP B-TREE" in plan] == []


def test_sequences_never_repeat(database: SqliteDatabase, put: Put) -> None:
    for _ in range(3):
        put((1, "x"), (1, "y"))
    _, stream = target(database)
    found = database.read(lambda c: logs.forward(c, stream, FIRST, 100))
    assert all(one.sequence < other.sequence for one, other in pairwise(found))
