"""Copies of SQLite databases as they stand at one moment, while others write to them."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection

from clary.store.engine import Database

Tell = Callable[[int, int], None]  # (done, of how many)

_PAGES = 2048  # in one step: 8 MiB, a few milliseconds


def copy(databases: Mapping[str, Database], folder: Path, tell: Tell) -> None:
    """Copies each to `<folder>/<name>.db`, all of them as they stand at one moment in which none of them is written:
    what was acknowledged before the call is there, and nothing without what it was made from. Writers wait for that
    moment only, a few milliseconds at most, and go on while the copies are made. `tell` hears of pages; what it raises
    ends the copying. Raises sqlite3.Error, OSError."""

    def work(connections: Sequence[Connection]) -> None:
        drivers: list[Any] = [connection.connection.driver_connection for connection in connections]
        _at_one_moment(list(databases.values()), drivers)
        pages = [driver.execute("PRAGMA page_count").fetchone()[0] for driver in drivers]
        for number, (name, driver) in enumerate(zip(databases, drivers, strict=True)):
            before = sum(pages[:number])
            _copy(driver, folder / f"{name}.db", functools.partial(_told, tell, before, sum(pages)))

    _reading(list(databases.values()), [], work)


def _reading(
    databases: Sequence[Database], open_ones: Sequence[Connection], work: Callable[[Sequence[Connection]], None]
) -> None:
    """Runs `work` with a reading connection of each."""
    if not databases:
        work(open_ones)
        return
    databases[0].read(lambda connection: _reading(databases[1:], [*open_ones, connection], work))


def _at_one_moment(databases: Sequence[Database], readers: Sequence[Any]) -> None:
    """Begins what the readers see: with its first question a transaction is bound to what is committed by then, and
    inside a write to each database nobody commits."""
    if databases:
        databases[0].write(lambda _: _at_one_moment(databases[1:], readers))
        return
    for reader in readers:
        reader.execute("SELECT count(*) FROM sqlite_master").fetchone()


def _told(tell: Tell, before: int, pages: int, _status: int, left: int, total: int) -> None:
    tell(before + total - left, pages)


def _copy(source: Any, target: Path, progress: Callable[[int, int, int], None]) -> None:
    with closing(sqlite3.connect(target)) as copied:
        copied.execute("PRAGMA synchronous=OFF")  # whoever takes it makes it durable
        source.backup(copied, pages=_PAGES, progress=progress, sleep=0)
        copied.execute("PRAGMA journal_mode=DELETE")  # one file, and no log beside it
