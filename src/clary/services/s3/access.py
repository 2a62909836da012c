"""Whose bucket it is. Who may come in is decided before an operation runs, by `services.access`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Connection

from clary.auth.policy import CURRENT
from clary.auth.principals import canonical_id
from clary.services.access.denials import require
from clary.services.access.wanted import Wanted
from clary.services.operation import Call
from clary.services.s3 import faults, index
from clary.services.s3.condition_keys import RequestKeys
from clary.services.s3.index import Bucket, Entry


def bucket_of(connection: Connection, account: str, name: str) -> Bucket:
    """For the rest of the control plane, which acts for `account`. Raises NoSuchBucket, AccessDenied."""
    bucket = _find(connection, name)
    if bucket.account != account:
        raise faults.access_denied()
    return bucket


def enter(connection: Connection, call: Call, given: Mapping[str, Any]) -> Bucket:
    """The bucket a request names; who may come in was decided before (`services.access`). Raises NoSuchBucket, and
    AccessDenied for one that is not the expected owner's."""
    return _expected(_find(connection, given["Bucket"]), given.get("ExpectedBucketOwner"))


def enter_at(connection: Connection, given: Mapping[str, Any], key: bytes, whole: bool) -> tuple[Bucket, Entry | None]:
    """As `enter`, with the current object of the key in it (`whole`: with its bytes, where they are few)."""
    bucket, entry = index.find_both(connection, given["Bucket"], key, whole)
    if bucket is None:
        raise faults.no_such_bucket(given["Bucket"])
    return _expected(bucket, given.get("ExpectedBucketOwner")), entry


def enter_source(connection: Connection, name: str, given: Mapping[str, Any]) -> Bucket:
    """The bucket that is copied from."""
    return _expected(_find(connection, name), given.get("ExpectedSourceBucketOwner"))


def _find(connection: Connection, name: str) -> Bucket:
    bucket = index.find_bucket(connection, name)
    if bucket is None:
        raise faults.no_such_bucket(name)
    return bucket


def _expected(bucket: Bucket, owner: str | None) -> Bucket:
    if owner is not None and owner != bucket.account:
        raise faults.access_denied()
    return bucket


def owner(account: str) -> dict[str, str]:
    return {"ID": canonical_id(account)}


def owner_of(call: Call, bucket: str) -> dict[str, str]:
    """The owner of a bucket that the call may enter."""
    return owner(call.caller.sides(call.principal, "s3:ListBucket", f"arn:aws:s3:::{bucket}", CURRENT).account)


def check_delete(call: Call, bucket: str, each: Mapping[str, Any], bypass: bool) -> None:
    """Whether the caller may delete one of the keys (with or without a VersionId) of DeleteObjects, which is authorised
    key by key, and pass by its retention. Raises AccessDenied."""
    key, version = each["Key"], each.get("VersionId")
    members = {name: value for name, value in (("VersionId", version), ("IfMatch", each.get("ETag"))) if value}
    keys, resource = RequestKeys(call, members, bucket, key, version), f"arn:aws:s3:::{bucket}/{key}"
    actions = ["s3:DeleteObject" if version is None else "s3:DeleteObjectVersion"]
    for action in [*actions, "s3:BypassGovernanceRetention"] if bypass else actions:
        require(call, Wanted(action, resource, keys))
