"""The embedded database's connections that only read."""

from __future__ import annotations

import contextlib
import threading
from typing import Any, NamedTuple

from sqlalchemy.engine import Connection, Engine


class Reader(NamedTuple):
    """A connection in a read, and what SQLAlchemy drives with it."""

    connection: Connection
    driver: Any


class Readers:
    """Connections that stay connected, at most `most`; whoever finds none free waits. SQLAlchemy's own pool and its
    transactions take longer than most of what is read: each read has one that is the driver's alone."""

    def __init__(self, engine: Engine, most: int) -> None:
        self._engine = engine
        self._idle: list[Reader] = []
        self._unopened = most
        self._changed = threading.Condition()
        self._waiting = 0
        self._closed = False

    def take(self) -> Reader:
        try:
            reader = self._idle.pop()
        except IndexError:
            reader = self._wait()
        try:
            reader.driver.execute("BEGIN")
        except BaseException:
            self._drop(reader)
            raise
        return reader

    def give_back(self, reader: Reader) -> None:
        try:
            if reader.connection.in_transaction():  # it was asked by more than prepared statements
                reader.connection.rollback()
            else:
                reader.driver.rollback()
        except Exception:  # of no more use: another is opened in its place
            self._drop(reader)
        else:
            self._idle.append(reader)
        if self._waiting:  # counted before they look once more, so that none is missed
            with self._changed:
                self._changed.notify()
        if self._closed:
            self.close()

    def close(self) -> None:
        """The connections of reads that still run are closed when they end."""
        self._closed = True
        while self._idle:
            self._idle.pop().connection.close()

    def _wait(self) -> Reader:
        with self._changed:
            self._waiting += 1
            try:
                while True:
                    with contextlib.suppress(IndexError):
                        return self._idle.pop()
                    if self._unopened:
                        break
                    self._changed.wait()
                self._unopened -= 1
            finally:
                self._waiting -= 1
        return self._open()

    def _open(self) -> Reader:
        try:
            connection = self._engine.connect()
        except BaseException:
            self._forgo()
            raise
        return Reader(connection, connection.connection.driver_connection)

    def _drop(self, reader: Reader) -> None:
        reader.connection.invalidate()
        reader.connection.close()
        self._forgo()

    def _forgo(self) -> None:
        with self._changed:
            self._unopened += 1
            self._changed.notify()
