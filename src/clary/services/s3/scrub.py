"""Every blob of the home, read in the background and slowly: damage that nobody meets is found while there still is a
backup to mend it from.

A round reads all blobs that the index and the registry name, by their names. How far it is stands in a file of the
home, so that a server that is restarted goes on with it. It ends with the manifests of images, which are in the index
and few.
"""

from __future__ import annotations

import contextlib
import dataclasses
import heapq
import json
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.context import Platform
from clary.contract.folder import write_whole
from clary.objects.damage import Damaged
from clary.registry import images, listings
from clary.services.s3.damage import Notices
from clary.services.s3.sweep import named
from clary.store import registry_schema
from clary.store.objects_schema import objects, parts, versions

_LOG = logging.getLogger(__name__)
EVERY = 7 * 86400.0  # seconds from the begin of a round to that of the next
_FIRST = 60.0  # seconds after a start, which has enough to do
_AGAIN = 3600.0  # seconds after an error
_PAGE = 200  # blobs
_MANIFESTS = 4  # of at most 4 MiB each
_A_BLOB = 128 * 1024  # bytes that could be read in the time that a blob takes besides its own
_SHORTEST = 0.25  # seconds of a pause: many short ones would cost more than the reading
_FILE = "scrub.json"
_TABLES = (objects, versions, parts, registry_schema.blobs, registry_schema.parts)  # each with a column of blobs

Pause = Callable[[float], bool]  # waits for so many seconds; whether the end came meanwhile


@dataclass(frozen=True, slots=True)
class Round:
    """`position` is the last blob that was read in it, "" once it is over; `begun` is epoch seconds."""

    position: str
    begun: float


def forever(platform: Platform, stopping: threading.Event) -> None:
    """Reads as much in a second as the settings say, until `stopping` is set."""
    settings = platform.settings
    if not settings.scrub_rate or settings.objects_bucket:
        return
    wait = _FIRST
    while not stopping.wait(wait):
        try:
            wait = go_on(platform, stopping.wait)
        except Exception:  # a full disk, a database that is away: the next try goes on where this one was
            wait = _AGAIN
            if not stopping.is_set():
                _LOG.exception("the reading of all objects in the background failed; it goes on later")


def go_on(platform: Platform, pause: Pause) -> float:
    """Reads what is left of the round, or the next one where that is due. Returns in how many seconds one is."""
    file, now = platform.settings.home / _FILE, platform.clock.now()
    here = _noted(platform)
    if not here.position:
        if now < here.begun + EVERY:
            return here.begun + EVERY - now
        here = Round("", now)
    pace = _Pace(platform.settings.scrub_rate * 1024**2, pause)
    while names := platform.stores.objects.read(partial(_following, after=here.position)):
        for name in names:
            _look(platform, name, pace)
            if pace.over:
                return 0.0
        here = dataclasses.replace(here, position=names[-1])
        write_whole(file, json.dumps(dataclasses.asdict(here)))
    if not _read_manifests(platform, pace):
        return 0.0
    write_whole(file, json.dumps(dataclasses.asdict(dataclasses.replace(here, position=""))))
    return max(0.0, here.begun + EVERY - platform.clock.now())


class _Pace:
    """Pauses for what was read. `over` says that the end came."""

    def __init__(self, rate: int, pause: Pause) -> None:
        self._rate, self._pause = rate, pause
        self._due = 0.0
        self.over = False

    def read(self, size: int) -> None:
        self._due += size / self._rate
        if self._due >= _SHORTEST:
            self.over = self._pause(self._due)
            self._due = 0.0


def _look(platform: Platform, blob: str, pace: _Pace) -> None:
    notices = Notices(platform.settings, platform.stores.objects, platform.clock)
    pace.read(_A_BLOB)
    try:
        with contextlib.closing(platform.objects.read(blob)) as reading:
            for piece in reading:
                pace.read(len(piece))
                if pace.over:
                    return
        _uncache(platform.objects.path(blob))
    except Damaged:
        pass  # the store has told of it
    except FileNotFoundError:
        if platform.stores.objects.read(partial(named, blobs=[blob])):  # nobody deleted it
            notices.of_blob(blob, "its file is missing")
    except OSError as error:
        notices.of_blob(blob, f"its file cannot be read ({error.strerror or error})")


def _read_manifests(platform: Platform, pace: _Pace) -> bool:
    """Whether the end did not come meanwhile."""
    notices, after = Notices(platform.settings, platform.stores.objects, platform.clock), (0, "")
    while page := platform.stores.objects.read(partial(listings.each, after=after, limit=_MANIFESTS)):
        for image in page:
            pace.read(len(image.manifest))
            try:
                images.intact(image)
            except Damaged:
                notices.of_manifest(image.digest)
        if pace.over:
            return False
        after = page[-1].repository, page[-1].digest
    return True


def _uncache(path: str | None) -> None:
    """The memory is for what is asked for; and what the next round reads is to come from the disk."""
    if path is None:
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def _following(connection: Connection, after: str) -> list[str]:
    """The blobs that come after that one, the first of them."""
    found = [
        connection.scalars(
            sa.select(table.c.blob).where(table.c.blob > after).distinct().order_by(table.c.blob).limit(_PAGE)
        ).all()
        for table in _TABLES
    ]
    return list(dict.fromkeys(heapq.merge(*found)))[:_PAGE]


def _noted(platform: Platform) -> Round:
    try:
        return Round(**json.loads((platform.settings.home / _FILE).read_text()))
    except (FileNotFoundError, ValueError, TypeError):  # the first one; or it is of another release
        return Round("", 0.0)
