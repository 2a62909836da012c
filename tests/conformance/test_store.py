"""The same suite over SQLite and a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clary.store.engine import Database, SqliteDatabase
from clary.store.postgres import PostgresDatabase
from clary.testing.store_conformance import TABLES, DatabaseConformance, Reopen


class TestSqlite(DatabaseConformance):
    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Reopen:
        return lambda: SqliteDatabase(str(tmp_path / "a ?#.db"), TABLES)

    @pytest.fixture
    def database(self, reopen: Reopen) -> Iterator[Database]:
        database = reopen()
        yield database
        database.close()


class TestPostgres(DatabaseConformance):
    @pytest.fixture
    def reopen(self, postgres: str) -> Reopen:
        return lambda: PostgresDatabase(postgres, TABLES)

    @pytest.fixture
    def database(self, reopen: Reopen) -> Iterator[Database]:
        database = reopen()
        yield database
        database.close()

    def test_many_servers_open_a_fresh_one_at_once(self, reopen: Reopen) -> None:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(4) as pool:
            for database in list(pool.map(lambda _: reopen(), range(4))):
                database.close()
