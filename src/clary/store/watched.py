"""A database that tells which records a commit changed."""

from __future__ import annotations

from collections.abc import Callable, Set

from sqlalchemy.engine import Connection

from clary.store import records
from clary.store.engine import Database, T, Work


class WatchedDatabase:
    """`database`, with `tell` called after each commit that replaced or deleted records, with their ARNs, in the thread
    of the write and before it returns. Contract: `clary.store.engine.Database`.

    Only writes through this object are told of: of another server on the same PostgreSQL nothing is heard."""

    def __init__(self, database: Database, tell: Callable[[Set[str]], None]) -> None:
        self._database = database
        self._tell = tell

    def read(self, work: Work[T]) -> T:
        return self._database.read(work)

    def write(self, work: Work[T]) -> T:
        changed: set[str] = set()

        def noted(connection: Connection) -> T:
            changed.clear()  # it may run more than once
            with records.noting(connection, changed):
                return work(connection)

        result = self._database.write(noted)
        if changed:
            self._tell(changed)
        return result

    def close(self) -> None:
        self._database.close()
