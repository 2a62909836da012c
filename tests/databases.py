"""A real PostgreSQL for tests, and the databases that the tests of the services run over."""

from __future__ import annotations

import contextlib
import itertools
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

# A collation that is not by code point, as distributions set it up.
_CREATE = "CREATE DATABASE {} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C' ENCODING 'UTF8'"


class PostgresServer:
    """A running server. `fresh` makes an empty database of it, `drop` removes one."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._numbers = itertools.count()
        administration = address.replace("postgresql:", "postgresql+psycopg:") + "/postgres"
        self._engine = sa.create_engine(administration, isolation_level="AUTOCOMMIT")

    def fresh(self) -> str:
        """The URL of a new database."""
        name = f"fresh_{next(self._numbers)}"
        with self._engine.connect() as connection:
            connection.exec_driver_sql(_CREATE.format(name))
        return f"{self._address}/{name}"

    def drop(self, url: str) -> None:
        with self._engine.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def close(self) -> None:
        self._engine.dispose()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
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
        server = PostgresServer(f"postgresql://clary@127.0.0.1:{port}")
        try:
            yield server
        finally:
            server.close()
            run("pg_ctl", "-D", f"{base}/data", "-m", "immediate", "-w", "stop")


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a fresh database."""
    url = postgres_server.fresh()
    yield url
    postgres_server.drop(url)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def database_urls(request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """Runs a module's tests over both databases: a function that returns what `Settings.database_url` may hold, empty
    for SQLite, else the URL of a fresh database."""
    if request.param == "sqlite":
        yield lambda: ""
        return
    with fresh_urls(request.getfixturevalue("postgres_server")) as urls:
        yield urls


@contextlib.contextmanager
def fresh_urls(server: PostgresServer) -> Iterator[Callable[[], str]]:
    """A function that gives the URL of a new database; all of them are dropped in the end."""
    made: list[str] = []

    def fresh() -> str:
        made.append(server.fresh())
        return made[-1]

    yield fresh
    for url in made:
        server.drop(url)


def open_database(url: str, folder: Path, tables: sa.MetaData) -> Database:
    """As the composition root opens it."""
    if url:
        return PostgresDatabase(url, tables)
    return SqliteDatabase(str(folder / f"{tables.info['component']}.db"), tables)


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
