"""A database behind two calls: `read` and `write`, each taking a function of a connection; and the embedded one.

SQLite has one write connection (several starve each other for seconds and never share a sync) and group commit by
leader and follower. Whoever finds nobody writing leads: it runs every queued write in a savepoint of its own, commits
once, wakes the others and hands the lead to the next in the queue. A write that raises rolls back alone. An answer
leaves only after the commit (WAL, synchronous=FULL).
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import QueuePool

from clary.store import migrations
from clary.store.errors import StoreClosed, StoreFailed, StoreFull
from clary.store.readers import Readers

T = TypeVar("T")
Work = Callable[[Connection], T]
Pause = Callable[[], contextlib.AbstractContextManager[None]]

_BATCH = 256  # bounds how long one commit can make its first caller wait
_READERS = 16
_BEGIN_WRITE = "BEGIN IMMEDIATE"
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "busy_timeout=10000",
    "case_sensitive_like=ON",  # as in PostgreSQL
)


_READ_JSON = json.JSONDecoder().decode


class Database(Protocol):
    """The contract (tests: clary.testing.store_conformance).

    - `write` runs `work` inside a transaction, returns its result after the commit is durable; when `work` raises,
      nothing of it stays and the error reaches the caller. `work` may run more than once: no effects but SQL in it.
    - `read` sees a consistent state that contains every write acknowledged before the call; it cannot write.
    - A full disk raises StoreFull, a commit that failed otherwise StoreFailed; the database stays usable.
    - `close` lets the writes that are under way end; a call after it raises StoreClosed.
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
    """An embedded SQLite file. Only the control plane's process opens it. `waiting` makes what a thread enters while it
    waits for a commit."""

    def __init__(self, path: str, tables: sa.MetaData, waiting: Pause = contextlib.nullcontext) -> None:
        self._writer = _engine(path, 1, _BEGIN_WRITE)
        self._reading = _engine(path, _READERS, "BEGIN", "query_only=ON")
        self._readers = Readers(self._reading, _READERS)
        self._connection = self._writer.connect()
        try:
            with self._connection.begin():
                migrations.apply(self._connection, tables)
        except BaseException:
            self._dispose()
            raise
        self._waiting = waiting
        self._state = threading.Condition()
        self._queue: deque[_Task] = deque()
        self._leading = False
        self._closed = False

    def read(self, work: Work[T]) -> T:
        if self._closed:
            raise StoreClosed
        reader = self._readers.take()
        try:
            return work(reader.connection)
        finally:
            self._readers.give_back(reader)

    def write(self, work: Work[T]) -> T:
        task = _Task(work)
        with self._state:
            if self._closed:
                raise StoreClosed
            self._queue.append(task)
            lead = not self._leading
            self._leading = True
        if not lead:
            self._wait(task)
            lead = task.leads
        if lead:
            self._lead(task)
        if task.error is not None:
            raise task.error
        result: T = task.result
        return result

    def close(self) -> None:
        with self._state:
            self._closed = True
            self._state.wait_for(lambda: not self._leading)
        self._dispose()

    def _dispose(self) -> None:
        self._connection.close()
        self._writer.dispose()
        self._readers.close()
        self._reading.dispose()

    def _wait(self, task: _Task) -> None:
        """Until `task` is done or leads. An interrupted wait (Ctrl-C) must not leave a lead that nobody takes."""
        try:
            with self._waiting():
                task.done.wait()
        except BaseException:
            with self._state:
                if not task.leads and task in self._queue:
                    self._queue.remove(task)
            if task.leads:
                self._lead(task)
            raise

    def _lead(self, own: _Task) -> None:
        """Commits the batch that holds the caller's own task, then passes the lead on."""
        with self._state:
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), _BATCH))]
        try:
            self._commit(batch)
        except Exception as error:
            self._recover()
            for task in batch:  # also those that had raised: what they saw was not there in the end
                task.error = _failure(error)
        except BaseException as interruption:  # the leader is interrupted, the others are not: they run again
            self._recover()
            with self._state:
                self._queue.extendleft(task for task in reversed(batch) if task is not own)
            batch, own.error = [own], interruption
        finally:
            self._pass_on(batch)

    def _pass_on(self, batch: list[_Task]) -> None:
        with self._state:
            heir = self._queue[0] if self._queue else None
            self._leading = heir is not None
            if heir is None:
                self._state.notify_all()
        for task in batch:
            task.done.set()
        if heir is not None:
            heir.leads = True
            heir.done.set()

    def _commit(self, batch: list[_Task]) -> None:
        if len(batch) == 1:  # nobody else's work has to outlive a failure of it
            self._commit_one(batch[0])
            return
        self._connection.begin()
        driver: Any = self._connection.connection.driver_connection
        for task in batch:
            task.result, task.error = None, None
            driver.execute("SAVEPOINT task")
            try:
                task.result = task.work(self._connection)
            except Exception as error:
                task.error = StoreFull() if _full(error) else error
                driver.execute("ROLLBACK TO task")
            driver.execute("RELEASE task")
        with self._waiting():
            self._connection.commit()

    def _commit_one(self, task: _Task) -> None:
        """In a transaction that is the driver's alone, as a read's: SQLAlchemy's own takes longer than most writes."""
        driver: Any = self._connection.connection.driver_connection
        driver.execute(_BEGIN_WRITE)
        try:
            task.result = task.work(self._connection)
        except Exception as error:
            task.error = StoreFull() if _full(error) else error
            self._recover()
            return
        with self._waiting():
            if self._connection.in_transaction():  # it was asked by more than prepared statements
                self._connection.commit()
            else:
                driver.commit()

    def _recover(self) -> None:
        """Rolls back whatever is open."""
        try:
            self._connection.rollback()
            self._connection.connection.rollback()  # after a failed COMMIT only SQLite knows that it is open
        except Exception:  # the file is gone or broken: this connection is of no more use
            self._connection.invalidate()
            self._connection.close()
            self._connection = self._writer.connect()


def _failure(error: Exception) -> Exception:
    if _full(error):
        return StoreFull()
    failed = StoreFailed("the transaction could not be committed")
    failed.__cause__ = error
    return failed


def _full(error: BaseException | None) -> bool:
    """Whether a full disk is behind `error` (SQLite may roll back by itself, so that a later step is what raises)."""
    while error is not None:
        source = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        if getattr(source, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            return True
        error = error.__cause__ or error.__context__ if source is error else source
    return False


def _engine(path: str, connections: int, begin: str, *pragmas: str) -> Engine:
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=path),
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        connect_args={"check_same_thread": False},
        hide_parameters=True,  # they hold secrets, and error texts go to the log
        json_serializer=json.JSONEncoder(separators=(",", ":")).encode,
        json_deserializer=_read_json,
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy sends BEGIN itself, below
        for pragma in (*_PRAGMAS, *pragmas):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        if not driver.in_transaction:  # as in a read, see Readers
            driver.execute(begin)

    return engine


def _read_json(text: str) -> Any:
    return {} if text == "{}" else _READ_JSON(text)  # most of what rows have of it is empty
