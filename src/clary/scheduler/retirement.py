"""Instances that nobody needs any more: a durable queue, so that a crash never leaves one behind.

Whoever is done with an instance retires it in the very transaction that says so. The reconciler here then stops it
if it still runs, and discards it.
"""

from __future__ import annotations

from sqlalchemy.engine import Connection

from clary.compute.base import Leaving
from clary.context import Platform
from clary.scheduler.loop import Reconciler
from clary.scheduler.outcomes import AgainIn, Done, Outcome
from clary.store import records
from clary.store.records import NameTaken, Record

KIND = "retired-instance"
_WAITING = "Retired"
_POLL = 1.0


def retire(connection: Connection, instance: str, now: float, drain: float = 0.0) -> None:
    """Has `instance` stopped after `drain` seconds (what it answers until then still counts) and discarded."""
    document = {"Instance": instance, "StopAfter": now + drain}
    try:
        records.insert(
            connection, Record(KIND, "", "", f"clary:{KIND}:{instance}", instance, _WAITING, now, now, document)
        )
    except NameTaken:  # retired already
        return


def reconcile(platform: Platform, record: Record) -> Outcome:
    instance = record.document["Instance"]
    remaining = record.document["StopAfter"] - platform.clock.now()
    seen = platform.compute.observe(instance)
    if seen.state in ("starting", "running"):
        if remaining > 0:
            return AgainIn(remaining)
        platform.compute.stop(instance)
        return AgainIn(_POLL)
    try:
        platform.compute.discard(instance)
    except Leaving:
        return AgainIn(_POLL)
    platform.stores.records.write(lambda connection: records.delete(connection, record))
    return Done()


RECONCILER = Reconciler((_WAITING,), reconcile)
