"""Lifecycle configurations, and what answers say of an object's end. Who carries them out: `lifecycle_sweep`."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any
from urllib.parse import quote

from sqlalchemy.engine import Connection

from clary.services.operation import Call, Document, Operations
from clary.services.s3 import bucket_settings, configuration, faults, lifecycle_rules, options
from clary.services.s3.index import Bucket, Entry
from clary.services.s3.uploads import Upload

operations = Operations()

NAME = "Lifecycle"
_LAST = datetime(9999, 12, 31, tzinfo=UTC).timestamp()
SMALLEST, VARIES = "all_storage_classes_128K", "varies_by_storage_class"


@operations.handles("PutBucketLifecycleConfiguration")
@options.understands("ChecksumAlgorithm", "LifecycleConfiguration", "TransitionDefaultMinimumObjectSize")
def put_bucket_lifecycle_configuration(call: Call, given: Document) -> Document:
    rules = (given.get("LifecycleConfiguration") or {}).get("Rules") or []
    lifecycle_rules.check(rules)
    smallest = given.get("TransitionDefaultMinimumObjectSize") or SMALLEST
    if smallest not in (SMALLEST, VARIES):
        name = "x-amz-transition-default-minimum-object-size"
        raise faults.invalid_argument("Invalid TransitionDefaultMinimumObjectSize found", name, smallest)
    stored = [{"ID": secrets.token_hex(24), **_dated(rule, _seconds)} for rule in rules]
    configuration.put(call, given, NAME, {"Rules": stored, "Smallest": smallest})
    return {"TransitionDefaultMinimumObjectSize": smallest}


@operations.handles("GetBucketLifecycleConfiguration")
@options.understands()
def get_bucket_lifecycle_configuration(call: Call, given: Document) -> Document:
    found = configuration.get(call, given, NAME)
    if found is None:
        code = "NoSuchLifecycleConfiguration"
        raise configuration.absent(given, code, "The lifecycle configuration does not exist")
    rules = [_dated(rule, lambda when: datetime.fromtimestamp(when, UTC)) for rule in found["Rules"]]
    return {"Rules": rules, "TransitionDefaultMinimumObjectSize": found["Smallest"]}


@operations.handles("DeleteBucketLifecycle")
@options.understands()
def delete_bucket_lifecycle(call: Call, given: Document) -> Document:
    configuration.delete(call, given, NAME)
    return {}


def _seconds(when: datetime) -> float:
    return when.timestamp()


def _dated(value: Any, convert: Callable[[Any], Any]) -> Any:
    """A rule with every `Date` in it converted."""
    if isinstance(value, Mapping):
        return {name: convert(each) if name == "Date" else _dated(each, convert) for name, each in value.items()}
    return [_dated(each, convert) for each in value] if isinstance(value, list) else value


def shown_of_upload(connection: Connection, bucket: Bucket, upload: Upload) -> Document:
    """As members of an answer about an upload: when it is aborted, and by which rule."""
    configured = bucket_settings.find(connection, bucket, NAME)
    due = [
        (when, rule["ID"])
        for rule in (configured["Rules"] if configured else ())
        if (when := lifecycle_rules.upload_end(rule, upload.key, upload.started)) is not None
    ]
    if not due:
        return {}
    when, name = min(due)
    return {"AbortDate": datetime.fromtimestamp(min(when, _LAST), UTC), "AbortRuleId": name}


def shown(connection: Connection, bucket: Bucket, entry: Entry) -> Document:
    """As a member of an answer about the current object: when it expires, and by which rule."""
    configured = bucket_settings.find(connection, bucket, NAME)
    if configured is None:
        return {}
    due = [
        (when, rule["ID"])
        for rule in configured["Rules"]
        if lifecycle_rules.is_about(rule, entry) and (when := lifecycle_rules.expiry(rule, entry)) is not None
    ]
    if not due:
        return {}
    when, name = min(due)
    # A rule of a home from before days were bounded may point beyond the calendar.
    return {"Expiration": f'expiry-date="{formatdate(min(when, _LAST), usegmt=True)}", rule-id="{quote(name)}"'}
