"""PostgreSQL behind the same two calls: a serialisable transaction per write, tried again when it lost a race."""

from __future__ import annotations

import random
import time
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.store import migrations
from clary.store.engine import Work
from clary.store.errors import StoreClosed, StoreFailed, StoreFull

T = TypeVar("T")

_SERIALIZATION, _DEADLOCK, _UNIQUE, _FULL = "40001", "40P01", "23505", "53100"
_TRIES = 200
# A unique violation may be a lost race too: run again, the work finds the winner's row and says so in its own words.
_UNIQUE_TRIES = 3


def address(url: str) -> sa.URL:
    """`url` as SQLAlchemy writes it (`postgresql+psycopg://...`; plain `postgresql://` is taken as psycopg 3)."""
    given = sa.make_url(url)
    return given.set(drivername="postgresql+psycopg") if given.drivername == "postgresql" else given


def lock(connection: Connection, tables: sa.MetaData) -> None:
    """Nobody else makes or migrates these tables until the transaction ends."""
    component = str(tables.info.get("component", ""))
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(f"clary {component}"))))


class PostgresDatabase:
    """A PostgreSQL database, shared by several servers. Contract: `clary.store.engine.Database`.

    `url` as in `address`."""

    def __init__(self, url: str, tables: sa.MetaData) -> None:
        self._engine = sa.create_engine(
            address(url),
            pool_size=16,
            isolation_level="SERIALIZABLE",
            pool_pre_ping=True,
            hide_parameters=True,  # they hold secrets, and error texts go to the log
        )
        self._reads = self._engine.execution_options(postgresql_readonly=True)
        self._closed = False
        with self._engine.execution_options(isolation_level="READ COMMITTED").begin() as connection:
            lock(connection, tables)  # several servers may open it at once
            migrations.apply(connection, tables)

    def read(self, work: Work[T]) -> T:
        if self._closed:
            raise StoreClosed
        return self._tried(self._reads, work)

    def write(self, work: Work[T]) -> T:
        if self._closed:
            raise StoreClosed
        return self._tried(self._engine, work)

    def _tried(self, engine: sa.Engine, work: Work[T]) -> T:
        for attempt in range(_TRIES):
            try:
                with engine.begin() as connection:
                    return work(connection)
            except sa.exc.DBAPIError as error:
                state = getattr(error.orig, "sqlstate", "")
                if state == _FULL:
                    raise StoreFull from error
                tries = _TRIES if state in (_SERIALIZATION, _DEADLOCK) else _UNIQUE_TRIES if state == _UNIQUE else 1
                if attempt + 1 >= tries:
                    raise
            time.sleep(random.uniform(0, min(0.05, 0.001 * 2**attempt)))
        raise StoreFailed(f"lost against other transactions {_TRIES} times")

    def close(self) -> None:
        self._closed = True
        self._engine.dispose()
