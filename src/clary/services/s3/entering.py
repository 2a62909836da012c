"""To enter a new object, as the bucket it comes into wants it: its version, its lock, its list of access."""

from __future__ import annotations

import dataclasses

from sqlalchemy.engine import Connection

from clary.services.operation import Call, Document
from clary.services.s3 import conditions, encryption_asked, events, lifecycle, lock, ownership, versions
from clary.services.s3.encryption_asked import Asked
from clary.services.s3.index import Bucket, Entry


def check(connection: Connection, call: Call, given: Document, key: bytes) -> Asked | None:
    """Whether what `given` asks for may be written, and how it is to be encrypted: to be asked before the bytes come
    in. Raises S3's errors."""
    bucket = conditions.may_write(connection, call, given, key)
    lock.check_asked(bucket, given, call.platform.clock.now())
    ownership.acl_of_new(connection, bucket, given, call.account)
    return encryption_asked.asked(connection, call.platform.settings, bucket, given)


def enter(connection: Connection, call: Call, given: Document, entry: Entry) -> tuple[Document, list[str]]:
    """Makes `entry` current, unless the conditions no longer hold; returns what the answer says of it besides,
    and freed blobs."""
    bucket = conditions.may_write(connection, call, given, entry.key)
    listed = ownership.acl_of_new(connection, bucket, given, call.account)
    entry = dataclasses.replace(entry, acl=listed) if listed else entry
    return place(connection, bucket, entry, lock.asked(given), call)


def place(
    connection: Connection, bucket: Bucket, entry: Entry, wanted: lock.Lock | None, call: Call | None = None
) -> tuple[Document, list[str]]:
    """As `enter`, with the conditions met; `wanted` is the lock that the client asked for, `call` the request of which
    the bucket may tell."""
    held = lock.of_new(connection, bucket, wanted, entry.modified)
    entered, freed = versions.put(connection, bucket, dataclasses.replace(entry, lock=held) if held else entry)
    if call is not None:
        events.created(connection, bucket, call, entered)
    return told_of_new(connection, bucket, entered), freed


def told_of_new(connection: Connection, bucket: Bucket, entry: Entry) -> Document:
    """What the answer to a write says."""
    return {**versions.shown(bucket, entry), **lifecycle.shown(connection, bucket, entry)}


def told(connection: Connection, bucket: Bucket, entry: Entry, by_version: bool) -> Document:
    """What the answer to a reading says; when the key expires is no fact about a version."""
    about = versions.shown(bucket, entry) if by_version else told_of_new(connection, bucket, entry)
    return {**about, **lock.shown(entry.lock)}
