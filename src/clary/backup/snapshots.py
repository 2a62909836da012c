"""The control plane's end: copies of the databases, and a hold on the blobs that they name.

Only this process opens SQLite's databases; who asks reads the copies, and the blobs from the home. Of PostgreSQL this
process holds on to a moment, and who asks makes the copies, so that requests do not wait for that. A blob that is
deleted meanwhile stays until the snapshot is over. It is over when that is said, or when nobody asks for `PATIENCE`
seconds.
"""

from __future__ import annotations

import logging
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clary.config import Settings
from clary.context import Stores
from clary.objects.base import ObjectStore
from clary.server.questions import Refused
from clary.store import copies, registry_schema, schema
from clary.store.engine import Database

PATIENCE = 60.0  # seconds; who takes a snapshot asks every few
FOLDER = "snapshot"  # in the home: one at a time
DATABASES = ("records", "objects", "logs")

_LOG = logging.getLogger(__name__)
_TABLES = (schema.RECORDS, registry_schema.OBJECTS, schema.LOGS)
COMPONENTS = dict(zip(DATABASES, _TABLES, strict=True))

Question = dict[str, Any]
Answer = dict[str, Any]


class _Over(Exception):
    """Nobody wants the copies any more."""


@dataclass(slots=True)
class _Snapshot:
    token: str
    databases: Mapping[str, Database]
    done: int = 0
    total: int = 0
    asked: float = field(default_factory=time.monotonic)
    ready: bool = False
    moment: str = ""  # of PostgreSQL, once it is ready
    copied: threading.Event = field(default_factory=threading.Event)  # who asks has made the copies
    error: str = ""
    over: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None


class Snapshots:
    """Answers the questions about snapshots; `close` ends the one under way. `fingerprint` is the root key's,
    `patience` seconds."""

    def __init__(
        self,
        settings: Settings,
        stores: Stores,
        objects: ObjectStore,
        fingerprint: str,
        patience: float = PATIENCE,
    ) -> None:
        self._settings = settings
        self._databases = dict(zip(DATABASES, (stores.records, stores.objects, stores.logs), strict=True))
        self._objects = objects
        self._fingerprint = fingerprint
        self._patience = patience
        self._folder = settings.home / FOLDER
        self._mutex = threading.Lock()
        self._current: _Snapshot | None = None

    def answers(self) -> Mapping[str, Callable[[Question], Answer]]:
        return {
            "snapshot": lambda question: self._begin(question["databases"]),
            "snapshot-state": lambda question: self._state(self._of(question)),
            "snapshot-copied": lambda question: self._copied(self._of(question)),
            "snapshot-end": lambda question: self._end(self._of(question)),
        }

    def close(self) -> None:
        with self._mutex:
            current = self._current
        if current is not None:
            self._end(current)

    def _begin(self, names: list[str]) -> Answer:
        wanted = {name: self._databases[name] for name in DATABASES if name in names}
        with self._mutex:
            if self._current is not None:
                raise Refused("Another backup or deep check of this home is under way. Try again when it has ended.")
            current = self._current = _Snapshot(secrets.token_hex(8), wanted)
        current.thread = threading.Thread(target=self._take, args=(current,), name="snapshot", daemon=True)
        current.thread.start()
        settings = self._settings
        facts = {"account": settings.account, "region": settings.region, "root_key": self._fingerprint}
        return {"token": current.token, "folder": str(self._folder), "facts": facts}

    def _of(self, question: Question) -> _Snapshot:
        with self._mutex:
            current = self._current
        if current is None or current.token != question["token"]:
            raise Refused("The server was restarted meanwhile, or not asked for too long, and has let go. Try again.")
        current.asked = time.monotonic()
        return current

    def _state(self, current: _Snapshot) -> Answer:
        if current.error:
            raise Refused(current.error)
        return {"ready": current.ready, "moment": current.moment, "done": current.done, "total": current.total}

    def _copied(self, current: _Snapshot) -> Answer:
        current.copied.set()
        return {}

    def _end(self, current: _Snapshot) -> Answer:
        current.over.set()
        current.copied.set()
        if current.thread is not None:
            current.thread.join()
        return {}

    def _take(self, current: _Snapshot) -> None:
        try:
            with self._objects.hold():  # before the moment of the copies: what they name is there
                self._copy(current)
                self._wait(current, current.over)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
            with self._mutex:
                self._current = None

    def _wait(self, current: _Snapshot, end: threading.Event) -> None:
        """Until then, or until nobody has asked for so long."""
        while (left := current.asked + self._patience - time.monotonic()) > 0 and not end.wait(left):
            pass  # asked for meanwhile

    def _copy(self, current: _Snapshot) -> None:
        def tell(done: int, total: int) -> None:
            current.done, current.total = done, total
            if current.over.is_set():
                raise _Over

        try:
            _emptied(self._folder)
            if self._settings.database_url:
                self._hold_moment(current)
                return
            copies.copy(current.databases, self._folder, tell)
            current.ready = True
        except _Over:
            pass
        except Exception as error:  # who asked for the backup is told, whatever it was
            _LOG.exception("the databases could not be copied")
            current.error = f"The databases could not be copied to {self._folder}: {error}."

    def _hold_moment(self, current: _Snapshot) -> None:
        from clary.store import crossings  # its driver is an extra

        with crossings.moment(self._settings.database_url) as current.moment:
            current.ready = True
            self._wait(current, current.copied)


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)  # what a crash left
    folder.mkdir(mode=0o700)
