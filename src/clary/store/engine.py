"""A database behind two calls: `read` and `write`, each taking a function of a connection.

SQLite: one write connection, group commit by leader and follower. Whoever finds nobody writing leads: it runs every
queued write in a savepoint of its own, commits once, and wakes the others. A write that raises rolls back alone. An
answer leaves only after the commit (WAL, synchronous=FULL).

PostgreSQL: a transaction per write, serialisable, tried again when it lost against another.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import QueuePool

T = TypeVar("T")
Work = Callable[[Connection], T]

_BATCH = 256  # bounds how long one commit can make its first caller wait


class Database(Protocol):
    """The contract (tests: clary.testing.store_conformance).

    - `write` runs `work` inside a transaction, returns its result after the commit is durable; when `work` raises,
      nothing of it stays and the error reaches the caller. `work` may run more than once: no effects but SQL in it.
    - `read` sees a consistent state that contains every write acknowledged before the call.
    """

    def read(self, work: Work[T]) -> T: ...

    def write(self, work: Work[T]) -> T: ...

    def close(self) -> None: ...


class _Task:
    __slots__ = ("done", "error", "leads", "result", "work")

    def __init__(self, work: Work[Any]) -> None:
        self.work = work
        self.done = threading.Event()
        self.leads = False
        self.result: Any = None
        self.error: BaseException | None = None


class SqliteDatabase:
    """An embedded SQLite file. Only the control plane's process opens it."""

    def __init__(self, path: str, tables: sa.MetaData) -> None:
        self._writer = _sqlite_engine(path, readers=1)
        self._readers = _sqlite_engine(path, readers=16)
        self._connection = self._writer.connect()
        tables.create_all(self._connection)
        self._connection.commit()
        self._mutex = threading.Lock()
        self._queue: deque[_Task] = deque()
        self._leading = False

    def read(self, work: Work[T]) -> T:
        with self._readers.connect() as connection:
            return work(connection)

    def write(self, work: Work[T]) -> T:
        task = _Task(work)
        with self._mutex:
            self._queue.append(task)
            lead = not self._leading
            self._leading = True
        if not lead:
            task.done.wait()
            lead = task.leads
        if lead:
            self._lead()
        if task.error is not None:
            raise task.error
        result: T = task.result
        return result

    def _lead(self) -> None:
        """Commits the batch that holds the caller's own task, then passes the lead on."""
        with self._mutex:
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), _BATCH))]
        try:
            self._commit(batch)
        finally:
            with self._mutex:
                heir = self._queue[0] if self._queue else None
                self._leading = heir is not None
            for task in batch:
                task.done.set()
            if heir is not None:
                heir.leads = True
                heir.done.set()

    def _commit(self, batch: list[_Task]) -> None:
        try:
            for task in batch:
                self._run(task)
            self._connection.commit()
        except BaseException as error:  # the disk is full or broken: nobody in the batch was acknowledged
            for task in batch:
                task.error = task.error or error
            self._connection.rollback()

    def _run(self, task: _Task) -> None:
        savepoint = self._connection.begin_nested()
        try:
            task.result = task.work(self._connection)
            savepoint.commit()
        except Exception as error:
            task.error = error
            savepoint.rollback()

    def close(self) -> None:
        self._connection.close()
        self._writer.dispose()
        self._readers.dispose()


def _sqlite_engine(path: str, readers: int) -> Engine:
    engine = sa.create_engine(
        f"sqlite:///{path}",
        poolclass=QueuePool,
        pool_size=readers,
        max_overflow=0,
        connect_args={"check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy sends BEGIN itself, below
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


class PostgresDatabase:
    """A PostgreSQL database, shared by several servers."""

    def __init__(self, url: str, tables: sa.MetaData) -> None:
        self._engine = sa.create_engine(url, pool_size=16, isolation_level="SERIALIZABLE")
        tables.create_all(self._engine)

    def read(self, work: Work[T]) -> T:
        with self._engine.connect() as connection:
            return work(connection)

    def write(self, work: Work[T]) -> T:
        while True:
            try:
                with self._engine.begin() as connection:
                    return work(connection)
            except sa.exc.OperationalError as error:
                if getattr(error.orig, "sqlstate", "") not in ("40001", "40P01"):
                    raise

    def close(self) -> None:
        self._engine.dispose()
