"""A key's life: described, listed, disabled and enabled, scheduled for deletion and deleted."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from clary.services import tagging
from clary.services.kms import faults, keys, managed, metadata, paging, permission, regions
from clary.services.kms.asking import ALIAS, GRANT, KEY, USAGE, Asker
from clary.services.kms.changing import changing
from clary.services.operation import Call, Document, Operations
from clary.store import records
from clary.store.records import Record

operations = Operations()

DAY = 86_400.0
_LIVING = (keys.ENABLED, keys.DISABLED, keys.PENDING_IMPORT)
_WINDOW = range(7, 31)


@operations.handles("DescribeKey")
def describe_key(call: Call, given: Document) -> Document:
    """By an AWS managed key's alias also before its first use: then it is made, as AWS does."""
    managed.ensure(call.platform, call.account, call.region, given["KeyId"])
    asker = Asker.of(call, given)
    record = call.platform.stores.records.read(
        lambda connection: keys.find(connection, asker, given["KeyId"], aliases=True)
    )
    return {"KeyMetadata": metadata.shown(record)}


@operations.handles("ListKeys")
def list_keys(call: Call, given: Document) -> Document:
    permission.require_account(call, "kms:ListKeys")
    if given.get("ResourceOwners", ["SELF"]) == ["OTHER_ACCOUNTS_VIA_RAM"]:
        return {"Keys": [], "Truncated": False}  # nothing is shared through RAM here
    return paging.of_records(call, given, KEY, "Keys", lambda record: {"KeyId": record.name, "KeyArn": record.arn})


@operations.handles("UpdateKeyDescription")
def update_key_description(call: Call, given: Document) -> Document:
    def change(connection: Connection, record: Record, now: float) -> Record:
        keys.require_state(record, *_LIVING)
        return keys.change(connection, record, now, Description=given["Description"])

    changing(call, given, change)
    return {}


@operations.handles("EnableKey")
def enable_key(call: Call, given: Document) -> Document:
    return _switch(call, given, keys.ENABLED)


@operations.handles("DisableKey")
def disable_key(call: Call, given: Document) -> Document:
    return _switch(call, given, keys.DISABLED)


def _switch(call: Call, given: Document, state: str) -> Document:
    def change(connection: Connection, record: Record, now: float) -> Record:
        keys.require_state(record, keys.ENABLED, keys.DISABLED)
        return keys.change(connection, record, now, KeyState=state)

    changing(call, given, change)
    return {}


@operations.handles("ScheduleKeyDeletion")
def schedule_key_deletion(call: Call, given: Document) -> Document:
    days = given.get("PendingWindowInDays", 30)
    if days not in _WINDOW:
        raise faults.invalid("PendingWindowInDays must be between 7 and 30 (inclusive).")
    answer: Document = {"PendingWindowInDays": days}

    def change(connection: Connection, record: Record, now: float) -> Record:
        keys.require_state(record, *_LIVING)
        pending = _pending(record, days, now)
        answer.update({name: value for name, value in pending.items() if value is not None})
        return keys.change(connection, record, now, **pending)

    record = changing(call, given, change)
    return {"KeyId": record.arn, **answer}


def _pending(record: Record, days: int, now: float) -> Document:
    """A primary key's waiting period begins when its last replica is gone."""
    given = record.document
    if given["MultiRegion"] and given["PrimaryRegion"] == record.region and given["ReplicaRegions"]:
        return {"KeyState": keys.PENDING_REPLICAS, "PendingDeletionWindowInDays": days}
    date = float(int(now)) + days * DAY
    return {"KeyState": keys.PENDING_DELETION, "PendingDeletionWindowInDays": days, "DeletionDate": date}


@operations.handles("CancelKeyDeletion")
def cancel_key_deletion(call: Call, given: Document) -> Document:
    def change(connection: Connection, record: Record, now: float) -> Record:
        if record.document["KeyState"] not in (keys.PENDING_DELETION, keys.PENDING_REPLICAS):
            raise faults.wrong_state(f"{record.arn} is not pending deletion.")
        state = keys.DISABLED if keys.complete(record.document) else keys.PENDING_IMPORT
        return keys.change(connection, record, now, KeyState=state, DeletionDate=None, PendingDeletionWindowInDays=None)

    return {"KeyId": changing(call, given, change).arn}


def delete(connection: Connection, record: Record, now: float) -> None:
    """The key, its material, its aliases, grants and tags: for good. Raises records.Changed."""
    for kind in (ALIAS, GRANT, USAGE):
        for child in paging.children(connection, kind, record):
            records.delete(connection, child)
    tagging.drop_all(connection, record.arn)
    records.delete(connection, record)
    if record.document["MultiRegion"]:
        regions.forget(connection, record, now)
