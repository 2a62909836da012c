"""Hands noted events to their topics: written to the topics' queue first and removed here afterwards, so that none is
lost. One that a crash leaves in between is told again, under the same message identifier."""

from __future__ import annotations

import logging
import threading

import sqlalchemy as sa

from clary.context import Platform
from clary.services.s3 import event_topics, events
from clary.services.s3.event_topics import Notice
from clary.store.objects_schema import events as table

_LOG = logging.getLogger(__name__)
_EVERY = 1.0  # seconds; a look at an empty table costs next to nothing
_BATCH = 100
_SELECT = sa.select(table).order_by(table.c.id).limit(_BATCH)


def forever(platform: Platform, stopping: threading.Event, every: float = _EVERY) -> None:
    """Until `stopping` is set."""
    while not stopping.is_set():
        try:
            while send(platform):
                pass
        except Exception:  # the thread lives as long as the server
            if not stopping.is_set():
                _LOG.exception("events of buckets could not be handed on; the next round tries again")
        stopping.wait(every)


def send(platform: Platform) -> int:
    """Hands on what is noted, some of it; returns how many events that were."""
    rows = platform.stores.objects.read(lambda connection: connection.execute(_SELECT).all())
    if not rows:
        return 0
    notices = [Notice(row.bucket, row.account, row.topic, events.told(row.record, row.id), row.message) for row in rows]
    for each in event_topics.tell(platform, notices, platform.clock.now()):
        _LOG.info("an event of bucket %s is not told: %s does not take it", each.bucket, each.topic)
    platform.wake()
    done = table.delete().where(table.c.id.in_([row.id for row in rows]))
    platform.stores.objects.write(lambda connection: connection.execute(done))
    return len(rows)
