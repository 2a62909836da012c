"""The operations of object lock: a bucket's configuration, and retention and legal hold of versions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.engine import Connection

from clary.errors import ServiceError
from clary.services.operation import Call, Document, Operations
from clary.services.s3 import bucket_settings, configuration, faults, lock, objects, options, versions
from clary.services.s3.index import Bucket, Entry

operations = Operations()

_LONGEST = {"Days": 36_500, "Years": 100}


@operations.handles("PutObjectLockConfiguration")
@options.understands("ChecksumAlgorithm", "ContentMD5", "ObjectLockConfiguration")
def put_object_lock_configuration(call: Call, given: Document) -> Document:
    wanted = given.get("ObjectLockConfiguration") or {}
    if wanted.get("ObjectLockEnabled") != "Enabled":
        raise faults.malformed_xml()
    if "Rule" in wanted:
        _check_default((wanted["Rule"] or {}).get("DefaultRetention"))

    def versioned(_: Connection, bucket: Bucket) -> None:
        if bucket.versioning != versions.ENABLED:
            message = "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"
            raise ServiceError("InvalidBucketState", message, 409)

    configuration.put(call, given, lock.NAME, wanted, versioned)
    return {}


def _check_default(default: Document | None) -> None:
    if not default or default.get("Mode") not in (lock.GOVERNANCE, lock.COMPLIANCE):
        raise faults.malformed_xml()
    periods = [(unit, default[unit]) for unit in ("Days", "Years") if default.get(unit) is not None]
    if len(periods) != 1 or set(default) - {"Mode", "Days", "Years"}:
        raise faults.malformed_xml()
    unit, length = periods[0]
    if length <= 0:
        raise _invalid_period("Default retention period must be a positive integer value.")
    if length > _LONGEST[unit]:
        most = _LONGEST["Days"]
        raise _invalid_period(f"Default retention period too large. The maximum retention period is {most} days.")


def _invalid_period(message: str) -> ServiceError:
    return ServiceError("InvalidRetentionPeriod", message)


@operations.handles("GetObjectLockConfiguration")
@options.understands()
def get_object_lock_configuration(call: Call, given: Document) -> Document:
    found = configuration.get(call, given, lock.NAME)
    if found is None:
        code = "ObjectLockConfigurationNotFoundError"
        raise configuration.absent(given, code, "Object Lock configuration does not exist for this bucket")
    return {"ObjectLockConfiguration": found}


@operations.handles("PutObjectRetention")
@options.understands("BypassGovernanceRetention", "ChecksumAlgorithm", "ContentMD5", "Retention", "VersionId")
def put_object_retention(call: Call, given: Document) -> Document:
    wanted, now = given.get("Retention") or {}, call.platform.clock.now()
    if set(wanted) - {"Mode", "RetainUntilDate"} or len(wanted) == 1:
        raise faults.malformed_xml()
    if wanted and wanted["Mode"] not in (lock.GOVERNANCE, lock.COMPLIANCE):
        raise faults.malformed_xml()
    if wanted:
        lock.check_retention(wanted["Mode"], wanted["RetainUntilDate"], now)
    mode = wanted.get("Mode")
    until = wanted["RetainUntilDate"].timestamp() if wanted else 0.0

    def changed(held: lock.Lock) -> lock.Lock:
        _check_change(held, mode, until, now, bool(given.get("BypassGovernanceRetention")))
        rest = {name: value for name, value in held.items() if name == "LegalHold"}
        return {**rest, "Mode": mode, "RetainUntil": until} if wanted else rest

    return _change(call, given, changed)


def _check_change(held: lock.Lock, mode: str | None, until: float, now: float, bypass: bool) -> None:
    """A retention may be made longer; shorter, or of another mode, only under governance, by who may bypass it."""
    if held.get("RetainUntil", 0) <= now:
        return
    longer = until >= held["RetainUntil"] and mode == held["Mode"]
    if not longer and not (held["Mode"] == lock.GOVERNANCE and bypass):
        raise ServiceError("AccessDenied", "Access Denied because object protected by object lock.", 403)


@operations.handles("GetObjectRetention")
@options.understands("VersionId")
def get_object_retention(call: Call, given: Document) -> Document:
    held = _held(call, given)
    if "Mode" not in held:
        raise _not_set()
    return {"Retention": {"Mode": held["Mode"], "RetainUntilDate": datetime.fromtimestamp(held["RetainUntil"], UTC)}}


@operations.handles("PutObjectLegalHold")
@options.understands("ChecksumAlgorithm", "ContentMD5", "LegalHold", "VersionId")
def put_object_legal_hold(call: Call, given: Document) -> Document:
    status: Any = (given.get("LegalHold") or {}).get("Status")
    if status not in ("ON", "OFF"):
        raise faults.malformed_xml()
    return _change(call, given, lambda held: {**held, "LegalHold": status})


@operations.handles("GetObjectLegalHold")
@options.understands("VersionId")
def get_object_legal_hold(call: Call, given: Document) -> Document:
    held = _held(call, given)
    if "LegalHold" not in held:
        raise _not_set()
    return {"LegalHold": {"Status": held["LegalHold"]}}


def _change(call: Call, given: Document, changed: Callable[[lock.Lock], lock.Lock]) -> Document:
    def work(connection: Connection) -> None:
        entry = _locked(connection, call, given)
        versions.change(connection, entry, lock=changed(entry.lock or {}) or None)

    call.platform.stores.objects.write(work)
    return {}


def _held(call: Call, given: Document) -> lock.Lock:
    return call.platform.stores.objects.read(lambda connection: _locked(connection, call, given)).lock or {}


def _locked(connection: Connection, call: Call, given: Document) -> Entry:
    """The version that is asked about, of a bucket with object lock."""
    bucket, entry = objects.found(connection, given)
    if bucket_settings.stamp(bucket, lock.NAME) is None:
        raise lock.missing_configuration()
    return entry


def _not_set() -> ServiceError:
    message = "The specified object does not have a ObjectLock configuration"
    return ServiceError("NoSuchObjectLockConfiguration", message, 404)
