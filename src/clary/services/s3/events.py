"""Events of buckets, noted in the transaction that they are about: so each is told, and nothing that did not happen.

What is noted waits in the index until it was handed to its topic (`event_sender`). A bucket that tells nobody costs
nothing.
"""

from __future__ import annotations

import dataclasses
import uuid
from dataclasses import dataclass
from urllib.parse import quote_plus

from sqlalchemy.engine import Connection

from clary.auth.principals import Principal, canonical_id
from clary.services.operation import Call, Document
from clary.services.s3 import bucket_settings, notifications
from clary.services.s3.event_topics import time_text
from clary.services.s3.index import UNVERSIONED, Bucket, Entry
from clary.services.s3.versions import Deleted
from clary.store.objects_schema import events

_OF_NOTHING = "d41d8cd98f00b204e9800998ecf8427e"  # the ETag of an empty object, which AWS tells of a delete marker
_CREATED = {"PutObject": "Put", "CopyObject": "Copy", "CompleteMultipartUpload": "CompleteMultipartUpload"}
_SEQUENCED = ("ObjectCreated", "ObjectRemoved", "ObjectRestore")
_NEWER = ("ObjectTagging", "ObjectAcl", "LifecycleExpiration", "LifecycleTransition")


@dataclass(frozen=True, slots=True)
class Cause:
    """Who did it, from where, in which request; `now` is when, in epoch seconds. `restored` is what an event tells of
    a restoration besides."""

    principal: str
    address: str
    request: str
    now: float
    restored: Document | None = None


def of_call(call: Call) -> Cause:
    return Cause(_who(call.principal), call.request.peer or "127.0.0.1", call.request_id, call.platform.clock.now())


def of_service(now: float) -> Cause:
    """What S3 does by itself."""
    return Cause("s3.amazonaws.com", "s3.amazonaws.com", uuid.uuid4().hex[:16].upper(), now)


def _who(principal: Principal) -> str:
    return f"AWS:{principal.user_id}" if principal.user_id else "Anonymous"


def tells(bucket: Bucket) -> bool:
    """Whether the bucket tells anybody of anything."""
    return bucket_settings.stamp(bucket, notifications.NAME) is not None


def created(connection: Connection, bucket: Bucket, call: Call, entry: Entry) -> None:
    if tells(bucket):
        kind = "Post" if call.request.method == "POST" and call.operation == "PutObject" else _CREATED[call.operation]
        about = {"size": entry.size, "eTag": entry.etag, **_version(bucket, entry.version)}
        _note(connection, bucket, of_call(call), f"ObjectCreated:{kind}", entry.key, about)


def described(connection: Connection, bucket: Bucket, cause: Cause, event: str, entry: Entry) -> None:
    """Of what changes an object but not its bytes."""
    if tells(bucket):
        about = {"eTag": entry.etag, **_version(bucket, entry.version)}
        _note(connection, bucket, cause, event, entry.key, about)


def restored(connection: Connection, bucket: Bucket, cause: Cause, kind: str, entry: Entry) -> None:
    """Of an archived object."""
    if tells(bucket):
        about = {"size": entry.size, "eTag": entry.etag, **_version(bucket, entry.version)}
        _note(connection, bucket, cause, f"ObjectRestore:{kind}", entry.key, about)


def until(cause: Cause, entry: Entry, ends: float) -> Cause:
    """The same, of a restoration that lasts until `ends`."""
    shown = {"lifecycleRestorationExpiryTime": time_text(ends), "lifecycleRestoreStorageClass": entry.storage_class}
    return dataclasses.replace(cause, restored=shown)


def removed(connection: Connection, bucket: Bucket, cause: Cause, kind: str, key: bytes, done: Deleted) -> None:
    """`kind` is "ObjectRemoved" or "LifecycleExpiration"."""
    if not tells(bucket):
        return
    if done.marker and done.made:
        about = {"eTag": _OF_NOTHING, **_version(bucket, done.version)}
        _note(connection, bucket, cause, f"{kind}:DeleteMarkerCreated", key, about)
    else:
        _note(connection, bucket, cause, f"{kind}:Delete", key, _version(bucket, done.version))


def _version(bucket: Bucket, version: str) -> Document:
    return {"versionId": version} if bucket.versioning and version not in ("", UNVERSIONED) else {}


def _note(connection: Connection, bucket: Bucket, cause: Cause, event: str, key: bytes, about: Document) -> None:
    """`about` are members of the object."""
    rules = bucket_settings.find(connection, bucket, notifications.NAME) or []
    name = key.decode()
    shown = {"key": quote_plus(name, safe="/"), **about}
    for rule in notifications.about(rules, event, name):
        _enter(connection, bucket, rule["TopicArn"], _record(bucket, cause, event, rule["Id"], shown))


def _record(bucket: Bucket, cause: Cause, event: str, rule: str, about: Document) -> Document:
    owner = {"principalId": canonical_id(bucket.account)}
    return {
        "eventVersion": "2.3" if event.partition(":")[0] in _NEWER else "2.1",
        "eventSource": "aws:s3",
        "awsRegion": bucket.region,
        "eventTime": time_text(cause.now),
        "eventName": event,
        "userIdentity": {"principalId": cause.principal},
        "requestParameters": {"sourceIPAddress": cause.address},
        "responseElements": {"x-amz-request-id": cause.request, "x-amz-id-2": cause.request},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": rule,
            "bucket": {"name": bucket.name, "ownerIdentity": owner, "arn": f"arn:aws:s3:::{bucket.name}"},
            "object": about,
        },
        **({"glacierEventData": {"restoreEventData": cause.restored}} if cause.restored else {}),
    }


def _enter(connection: Connection, bucket: Bucket, topic: str, record: Document) -> None:
    row = {"bucket": bucket.name, "account": bucket.account, "topic": topic, "message": str(uuid.uuid4())}
    connection.execute(events.insert().values(**row, record=record))


def told(record: Document, number: int) -> Document:
    """The event as it is told; `number` is its row's, and grows with each."""
    about = record["s3"]["object"]
    if record["eventName"].partition(":")[0] in _SEQUENCED:
        about = {**about, "sequencer": f"{number:018X}"}
    return {"Records": [{**record, "s3": {**record["s3"], "object": about}}]}
