"""To restore archived objects.

All bytes are on the same disk, so a restoration is over as soon as it is asked for, whatever its tier. What is kept is
until when it lasts (`Entry.restored`, epoch seconds).
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.context import Platform
from clary.errors import ServiceError
from clary.services.operation import Call, Document, Operations
from clary.services.s3 import archived, events, faults, index, lifecycle_rules, objects, options, seeking, versions
from clary.services.s3.index import Entry
from clary.store.objects_schema import objects as current
from clary.store.objects_schema import versions as kept

operations = Operations()

_TIERS = ("Standard", "Bulk", "Expedited")
_MOST_DAYS = 1_000_000
_BATCH = 500


@operations.handles("RestoreObject")
@options.understands("ChecksumAlgorithm", "RestoreRequest", "VersionId")
def restore_object(call: Call, given: Document) -> Document:
    days, tier = _asked(given.get("RestoreRequest") or {})

    def work(connection: Connection) -> bool:
        bucket, entry = objects.found(connection, given)
        _check_class(entry, tier)
        before = archived.is_readable(entry, call.platform.clock)
        restored = lifecycle_rules.due_after(call.platform.clock.now(), days)
        versions.change(connection, entry, restored=restored)
        cause = events.of_call(call)
        events.restored(connection, bucket, cause, "Post", entry)
        events.restored(connection, bucket, events.until(cause, entry, restored), "Completed", entry)
        return before

    before = call.platform.stores.objects.write(work)
    return {"ResponseMetadata": {"HTTPStatusCode": 200 if before else 202}}


def _asked(request: Document) -> tuple[int, str]:
    """(days, tier). Raises S3's errors."""
    for member in ("Type", "SelectParameters", "OutputLocation"):
        if request.get(member):
            raise faults.not_implemented(f"RestoreRequest.{member}")
    tier = (request.get("GlacierJobParameters") or {}).get("Tier") or request.get("Tier") or "Standard"
    if tier not in _TIERS or request.get("Days") is None:
        raise faults.malformed_xml()
    if not 1 <= request["Days"] <= _MOST_DAYS:
        raise faults.invalid_argument("restoration days should be at least 1", "Days", request["Days"])
    return request["Days"], tier


def _check_class(entry: Entry, tier: str) -> None:
    if entry.storage_class not in options.ARCHIVES:
        message = "Restore is not allowed for the object's current storage class"
        raise ServiceError("InvalidObjectState", message, 403, {"StorageClass": entry.storage_class})
    if entry.storage_class == "DEEP_ARCHIVE" and tier == "Expedited":
        raise faults.invalid_argument("Retrieval option is not supported by this storage class", "Tier", tier)


def sweep(platform: Platform, stopped: Callable[[], bool] = lambda: False) -> int:
    """Ends the restorations whose time is over; returns how many."""
    ended, now = 0, platform.clock.now()
    while not stopped() and (done := platform.stores.objects.write(lambda connection: _end(connection, now))):
        ended += done
    return ended


def _end(connection: Connection, now: float) -> int:
    ended = 0
    for table in (current, kept):
        over = sa.select(table.c.bucket, table.c.key, table.c.version).where(table.c.restored <= now).limit(_BATCH)
        for bucket, key, version in connection.execute(over).all():
            there = index.find_bucket(connection, bucket)
            entry = None if there is None else seeking.present(connection, there, bytes(key).decode(), version)
            if there is not None and entry is not None:
                versions.change(connection, entry, restored=None)
                events.restored(connection, there, events.of_service(now), "Delete", entry)
                ended += 1
    return ended
