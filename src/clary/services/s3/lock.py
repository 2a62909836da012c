"""Object lock: versions that cannot be deleted, until a date or until somebody lifts the hold."""

from __future__ import annotations

from calendar import isleap
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.engine import Connection

from clary.errors import ServiceError
from clary.services.operation import Document
from clary.services.s3 import bucket_settings, faults, index, versions
from clary.services.s3.index import Bucket

NAME = "ObjectLock"
GOVERNANCE, COMPLIANCE = "GOVERNANCE", "COMPLIANCE"
Lock = dict[str, Any]  # Mode and RetainUntil (epoch seconds), LegalHold ("ON" or "OFF"): a column of the object's row

MEMBERS = ("ObjectLockMode", "ObjectLockRetainUntilDate", "ObjectLockLegalHoldStatus")
_ON = {"ObjectLockEnabled": "Enabled"}


def asked(given: Mapping[str, Any]) -> Lock | None:
    """The lock that a request to write asks for; `check_asked` says whether it can be had."""
    mode, until, hold = (given.get(member) for member in MEMBERS)
    found: Lock = {"LegalHold": hold} if hold else {}
    if mode and until:
        found |= {"Mode": mode, "RetainUntil": until.timestamp()}
    return found or None


def check_asked(bucket: Bucket, given: Mapping[str, Any], now: float) -> None:
    """Raises what S3 answers to a lock that cannot be had."""
    if not any(given.get(member) for member in MEMBERS):
        return
    mode, until, hold = (given.get(member) for member in MEMBERS)
    if bucket_settings.stamp(bucket, NAME) is None:
        raise missing_configuration()
    if (mode is None) != (until is None):
        message = "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied"
        missing = "x-amz-object-lock-mode" if mode is None else "x-amz-object-lock-retain-until-date"
        raise ServiceError("InvalidArgument", message, 400, {"ArgumentName": missing})
    if mode is not None:
        check_retention(mode, until, now)
    if hold not in (None, "ON", "OFF"):
        message = "Legal Hold must be either of 'ON' or 'OFF'"
        raise faults.invalid_argument(message, "x-amz-object-lock-legal-hold", hold)


def check_retention(mode: Any, until: Any, now: float) -> None:
    if mode not in (GOVERNANCE, COMPLIANCE):
        raise faults.invalid_argument("Unknown wormMode directive.", "x-amz-object-lock-mode", mode)
    if not isinstance(until, datetime) or until.timestamp() <= now:
        message = "The retain until date must be in the future!"
        raise faults.invalid_argument(message, "x-amz-object-lock-retain-until-date", until)


def of_new(connection: Connection, bucket: Bucket, wanted: Lock | None, now: float) -> Lock | None:
    """The lock of an object that is entered now: the one asked for, its retention the bucket's default without one."""
    configured = bucket_settings.find(connection, bucket, NAME)
    default = ((configured or {}).get("Rule") or {}).get("DefaultRetention")
    if default is None or (wanted and "Mode" in wanted):
        return wanted
    return {**(wanted or {}), "Mode": default["Mode"], "RetainUntil": _later(default, now)}


def _later(default: Mapping[str, Any], now: float) -> float:
    begin = datetime.fromtimestamp(now, UTC)
    if "Days" in default:
        return (begin + timedelta(days=default["Days"])).timestamp()
    year = begin.year + default["Years"]
    day = 28 if (begin.month, begin.day) == (2, 29) and not isleap(year) else begin.day
    return begin.replace(year=year, day=day).timestamp()


def shown(held: Lock | None) -> Document:
    """As members of what GetObject and HeadObject answer."""
    if not held:
        return {}
    found: Document = {}
    if "Mode" in held:
        until = datetime.fromtimestamp(held["RetainUntil"], UTC)
        found.update(ObjectLockMode=held["Mode"], ObjectLockRetainUntilDate=until)
    if "LegalHold" in held:
        found["ObjectLockLegalHoldStatus"] = held["LegalHold"]
    return found


def check_delete(connection: Connection, bucket: Bucket, key: bytes, version: str, now: float, bypass: bool) -> None:
    """Raises AccessDenied for a version that is locked. `bypass`: the caller asks for it, and may, to pass by a
    retention under governance."""
    if bucket_settings.stamp(bucket, NAME) is None:
        return
    entry = index.find(connection, bucket.name, key)
    if entry is None or entry.version != version:
        kept = versions.find(connection, bucket.name, key, version)
        entry = None if kept is None else kept.entry
    if entry is not None and is_locked(entry.lock, now, bypass):
        raise ServiceError("AccessDenied", "Access Denied because object protected by object lock.", 403)


def is_locked(held: Lock | None, now: float, bypass: bool = False) -> bool:
    if not held:
        return False
    retained = held.get("RetainUntil", 0) > now and not (bypass and held.get("Mode") == GOVERNANCE)
    return retained or held.get("LegalHold") == "ON"


def enable(connection: Connection, bucket: Bucket) -> None:
    """For a bucket that is made with object lock: versioned from the beginning."""
    bucket_settings.set_versioning(connection, bucket.name, versions.ENABLED)
    bucket_settings.enter(connection, bucket, NAME, _ON)


def missing_configuration() -> ServiceError:
    return faults.invalid_request("Bucket is missing Object Lock Configuration")
