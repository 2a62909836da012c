"""Conditional requests: If-Match and its kin, on reading, copying and writing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.engine import Connection

from clary.errors import ServiceError
from clary.services.operation import Call
from clary.services.s3 import access, faults, index
from clary.services.s3.index import Bucket, Entry

READ = ("IfMatch", "IfNoneMatch", "IfModifiedSince", "IfUnmodifiedSince")
COPY = tuple(f"CopySource{name}" for name in READ)
WRITE = ("IfMatch", "IfNoneMatch")


def check_read(given: Mapping[str, Any], entry: Entry) -> None:
    """Raises PreconditionFailed (412) or NotModified (304); RFC 9110 says which of two conditions counts."""
    failed = _failed(given, entry, "")
    if failed in ("If-None-Match", "If-Modified-Since"):
        raise faults.not_modified(entry.etag)
    if failed:
        raise faults.precondition_failed(failed)


def check_copy(given: Mapping[str, Any], source: Entry) -> None:
    failed = _failed(given, source, "CopySource")
    if failed:
        raise faults.precondition_failed(f"x-amz-copy-source-{failed}")


def may_write(connection: Connection, call: Call, given: Mapping[str, Any], key: bytes) -> Bucket:
    """The bucket; raises unless it is there and the request's conditions hold. To be asked before the bytes come in,
    and again in the transaction that enters them."""
    bucket = access.enter(connection, call, given)
    if given.get("IfMatch") is not None or given.get("IfNoneMatch") is not None:
        check_write(given, given["Key"], index.find(connection, given["Bucket"], key))
    return bucket


def check_write(given: Mapping[str, Any], key: str, present: Entry | None) -> None:
    """What a write asks of the object it would replace. Part of the transaction that replaces it."""
    wanted, unwanted = given.get("IfMatch"), given.get("IfNoneMatch")
    if unwanted is not None and unwanted.strip() != "*":
        raise faults.not_implemented("If-None-Match (other than *)")
    if unwanted is not None and present is not None:
        raise faults.precondition_failed("If-None-Match")
    check_match(wanted, key, present)


def check_match(wanted: str | None, key: str, present: Entry | None) -> None:
    if wanted is None:
        return
    if present is None:
        raise faults.no_such_key(key)
    if not _matches(wanted, present.etag):
        raise faults.precondition_failed("If-Match")


def _failed(given: Mapping[str, Any], entry: Entry, prefix: str) -> str:
    """The header of the condition that does not hold, or nothing."""
    match, none_match = given.get(f"{prefix}IfMatch"), given.get(f"{prefix}IfNoneMatch")
    since, until = given.get(f"{prefix}IfModifiedSince"), given.get(f"{prefix}IfUnmodifiedSince")
    if match is not None:
        if not _matches(match, entry.etag):
            return "If-Match"
    elif until is not None and int(entry.modified) > _seconds(until):
        return "If-Unmodified-Since"
    if none_match is not None:
        if _matches(none_match, entry.etag):
            return "If-None-Match"
    elif since is not None and int(entry.modified) <= _seconds(since):
        return "If-Modified-Since"
    return ""


def _matches(header: str, etag: str) -> bool:
    tags = [each.strip().removeprefix("W/").strip('"') for each in header.split(",")]
    return "*" in tags or etag in tags


def _seconds(value: Any) -> float:
    if not isinstance(value, datetime):
        raise ServiceError("InvalidArgument", "A date of a condition is not valid.")
    return value.timestamp()
