"""The same suite over SQLite and a real PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

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


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a running server, without a database."""
    if missing := [name for name in ("postgres", "initdb", "pg_ctl") if shutil.which(name) is None]:
        pytest.skip(f"no {' '.join(missing)} on this machine")
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder:
        base = Path(folder)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        run = _as_nobody(base)
        try:
            run("initdb", "-D", f"{base}/data", "-A", "trust", "-U", "clary", "--no-sync", "-E", "UTF8")
            options = f"-c listen_addresses=127.0.0.1 -p {port} -k {base} -c fsync=off"
            run("pg_ctl", "-D", f"{base}/data", "-o", options, "-l", f"{base}/log", "-w", "start")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"PostgreSQL does not start here: {error.stderr.strip()[-200:]}")
        yield f"postgresql://clary@127.0.0.1:{port}"
        run("pg_ctl", "-D", f"{base}/data", "-m", "immediate", "-w", "stop")


@pytest.fixture
def postgres(postgres_server: str) -> Iterator[str]:
    """The URL of a fresh database with a collation that is not by code point, as distributions set it up."""
    administration = sa.create_engine(
        postgres_server.replace("postgresql:", "postgresql+psycopg:") + "/postgres", isolation_level="AUTOCOMMIT"
    )
    with administration.connect() as connection:
        connection.exec_driver_sql(
            "CREATE DATABASE one TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C' ENCODING 'UTF8'"
        )
        yield f"{postgres_server}/one"
        connection.exec_driver_sql("DROP DATABASE one WITH (FORCE)")
    administration.dispose()


def _as_nobody(base: Path) -> Callable[..., None]:
    """A function that runs a command as an unprivileged user: PostgreSQL refuses root."""
    ids: dict[str, int] = {}
    if os.getuid() == 0:
        nobody = pwd.getpwnam("nobody")
        ids = {"user": nobody.pw_uid, "group": nobody.pw_gid}
        os.chown(base, nobody.pw_uid, nobody.pw_gid)

    def run(*command: str) -> None:
        with contextlib.chdir(base):
            subprocess.run(
                command,
                check=True,
                text=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                extra_groups=[] if ids else None,
                **ids,
            )

    return run
