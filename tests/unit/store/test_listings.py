"""Listings on SQLite: which plan each order and filter gets, and what an older home's listings show."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from clary.store import listings
from clary.store.engine import SqliteDatabase
from clary.store.listings import Listing
from clary.store.migrations import apply
from clary.store.records import Record, insert
from clary.store.schema import RECORDS


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    made = SqliteDatabase(str(tmp_path / "records.db"), RECORDS)
    yield made
    made.close()


def plan(database: SqliteDatabase, listing: Listing) -> str:
    """What SQLite does for a page, in its own words."""
    said: list[str] = []

    def work(connection: sa.Connection) -> None:
        driver: Any = connection.connection.driver_connection
        texts: list[str] = []
        driver.set_trace_callback(texts.append)
        listings.page(connection, listing)
        driver.set_trace_callback(None)
        for text in texts:
            said.extend(row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {text}"))

    database.read(work)
    return "; ".join(said)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort", ["name", "created", "modified", "status"])
@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"name_contains": "x"},
        {"created_after": 1.0},
        {"created_before": 1.0},
        {"modified_after": 1.0},
        {"modified_before": 1.0},
        {"modified_after": 1.0, "created_before": 9.0, "name_contains": "x"},
    ],
)
def test_a_page_is_read_in_order_from_an_index(
    database: SqliteDatabase, sort: listings.Sort, descending: bool, filters: dict[str, Any]
) -> None:
    index = "sqlite_autoindex_records_2" if sort == "name" else f"records_by_{sort}"
    after = {"name": ("n",), "status": ("s", 1.0, "arn")}.get(sort, (1.0, "arn"))
    for begin in (None, after):
        said = plan(database, Listing("k", "1", "r", sort, descending, begin, **filters))
        assert index in said
        assert "TEMP B-TREE" not in said


@pytest.mark.parametrize("descending", [False, True])
def test_one_status_is_read_in_the_order_of_creation(database: SqliteDatabase, descending: bool) -> None:
    choices: list[dict[str, Any]] = [{}, {"created_after": 1.0}, {"after": (1.0, "arn")}]
    for filters in choices:
        said = plan(database, Listing("k", "1", "r", "created", descending, status="Failed", **filters))
        assert "records_by_status" in said
        assert "TEMP B-TREE" not in said


def test_records_of_version_1_are_listed(tmp_path: Path) -> None:
    old = sa.MetaData(info={"component": "records"})
    new = RECORDS.tables["records"]
    columns = [column for column in new.columns if column.name not in ("summary", "queue", "until")]
    table = sa.Table(
        "records", old, *(sa.Column(each.name, each.type, primary_key=each.primary_key) for each in columns)
    )
    document = {"SecondaryStatus": "Completed", "TrainingEndTime": 1700000005.25, "RoleArn": "r"}
    job = Record("training-job", "1", "r", "arn:job", "job", "Completed", 1.5, 1700000006.12345, document)
    role = Record("iam-role", "1", "r", "arn:role", "role", "", 2.0, 2.0, {})
    first = sa.create_engine(sa.URL.create("sqlite", database=str(tmp_path / "records.db")))
    with first.begin() as connection:
        apply(connection, old, {"records": ()})
        for each in (job, role):
            connection.execute(table.insert(), {column.name: getattr(each, column.name) for column in columns})
    first.dispose()

    database = SqliteDatabase(str(tmp_path / "records.db"), RECORDS)
    page = database.read(lambda connection: listings.page(connection, Listing("training-job", "1", "r")))
    assert json.loads(page.summaries) == {
        "TrainingJobName": "job",
        "TrainingJobArn": "arn:job",
        "CreationTime": 1.5,
        "TrainingEndTime": 1700000005.25,
        "LastModifiedTime": 1700000006.123,
        "TrainingJobStatus": "Completed",
        "SecondaryStatus": "Completed",
    }
    assert database.read(lambda connection: listings.page(connection, Listing("iam-role", "1", "r"))).summaries == ""
    database.write(lambda connection: insert(connection, Record("k", "1", "r", "arn:k", "k", "", 1.0, 1.0, {})))
    database.close()
