"""Whose bucket it is, and who may come in: its owner's account, for now; policies and grants come later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Connection

from clary.auth.principals import canonical_id
from clary.services.operation import Call
from clary.services.s3 import faults, index
from clary.services.s3.index import Bucket


def bucket_of(connection: Connection, account: str, name: str, expected_owner: str | None = None) -> Bucket:
    """Raises NoSuchBucket, or AccessDenied for somebody else's and for one that is not `expected_owner`'s."""
    bucket = index.find_bucket(connection, name)
    if bucket is None:
        raise faults.no_such_bucket(name)
    if bucket.account != account or (expected_owner is not None and expected_owner != bucket.account):
        raise faults.access_denied()
    return bucket


def enter(connection: Connection, call: Call, given: Mapping[str, Any]) -> Bucket:
    """The bucket a request names, checked."""
    return bucket_of(connection, call.account, given["Bucket"], given.get("ExpectedBucketOwner"))


def owner(account: str) -> dict[str, str]:
    return {"ID": canonical_id(account)}
