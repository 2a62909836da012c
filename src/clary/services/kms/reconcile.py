"""What happens to keys by themselves, when it is due: deletion, the end of imported material, rotation."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from clary.context import Platform
from clary.scheduler.loop import Reconciler
from clary.scheduler.outcomes import AgainIn, Done, Outcome
from clary.services.kms import keys, lifecycle, regions, rotation
from clary.services.kms.asking import KEY
from clary.services.kms.material import Material
from clary.services.operation import Document
from clary.store import records
from clary.store.records import Changed, Record


def reconcile(platform: Platform, record: Record) -> Outcome:
    """One step. Raises records.Changed when the key was changed since it was read."""
    now, due = platform.clock.now(), keys.due_at(record.document)
    if due is not None and due <= now:
        due = _carry_out(platform, record, now)
    return Done() if due is None else AgainIn(max(due - now, 0.0))


def _carry_out(platform: Platform, record: Record, now: float) -> float | None:
    """Does what is due; returns when something is due next."""
    rotates = _rotates(record.document, now)
    drawn = rotation.rotated(platform, record, rotation.AUTOMATIC, now) if rotates else []

    def commit(connection: Connection) -> float | None:
        key = records.by_arn(connection, record.arn)
        if key is None or key.version != record.version:
            raise Changed(record.arn)
        if keys.gone(key.document, now):
            lifecycle.delete(connection, key, now)
            return None
        return keys.due_at(_changed(connection, key, drawn, now).document)

    return platform.stores.records.write(commit)


def _changed(connection: Connection, key: Record, drawn: list[Material], now: float) -> Record:
    document = keys.without_expired(key.document, now)
    if drawn:
        days = document["RotationPeriodInDays"]
        document = {**document, "Materials": drawn, "NextRotation": now + days * rotation.DAY}
    key = keys.change(connection, key, now, **document)
    if drawn and document["MultiRegion"]:
        regions.share_material(connection, key, now)
    return key


def _rotates(document: Document, now: float) -> bool:
    """Disabled keys are not rotated until they are enabled again."""
    due = document.get("NextRotation")
    return due is not None and due <= now and document["KeyState"] == keys.ENABLED


RECONCILERS = {KEY: Reconciler((keys.DUE,), reconcile, keys.QUEUE)}
