"""Archived objects: read while they are restored; buckets tell of that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from api.access.people import refusal
from api.sns.conftest import Served
from api.sns.test_buckets import BUCKET, Told, s3, tell
from clary.services.s3 import archives

__all__ = ["s3", "tell"]

DAY = 86_400
THIS = {"Bucket": BUCKET, "Key": "k"}


@pytest.mark.parametrize("kind", ["GLACIER", "DEEP_ARCHIVE"])
@pytest.mark.parametrize("size", [10, 100_000])
def test_an_archived_object_is_read_while_it_is_restored(
    served: Served, s3: Any, tell: Callable[..., Told], kind: str, size: int
) -> None:
    told = tell("ObjectRestore:*")
    body = b"x" * size
    s3.put_object(**THIS, Body=body, StorageClass=kind)
    assert refusal(s3.get_object, **THIS)[:2] == ("InvalidObjectState", 403)
    copy = {"Bucket": BUCKET, "Key": "copy", "CopySource": THIS}
    assert refusal(s3.copy_object, **copy)[:2] == ("ObjectNotInActiveTierError", 403)
    head = s3.head_object(**THIS)
    assert (head["StorageClass"], head["ContentLength"], "Restore" in head) == (kind, size, False)
    request = {"Days": 2, "GlacierJobParameters": {"Tier": "Bulk"}}
    assert s3.restore_object(**THIS, RestoreRequest=request)["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert s3.get_object(**THIS)["Body"].read() == body
    assert s3.head_object(**THIS)["Restore"].startswith('ongoing-request="false", expiry-date="')
    s3.copy_object(**copy)
    assert s3.get_object(Bucket=BUCKET, Key="copy")["Body"].read() == body
    assert s3.restore_object(**THIS, RestoreRequest={"Days": 4})["ResponseMetadata"]["HTTPStatusCode"] == 200
    events = told.next(4)
    assert [each["eventName"] for each in events] == ["ObjectRestore:Post", "ObjectRestore:Completed"] * 2
    assert events[1]["glacierEventData"]["restoreEventData"]["lifecycleRestoreStorageClass"] == kind
    served.later(3 * DAY)
    assert archives.sweep(served.platform) == 0
    assert s3.get_object(**THIS)["Body"].read() == body
    served.later(2 * DAY)
    assert refusal(s3.get_object, **THIS)[0] == "InvalidObjectState", "at once, not after the next round"
    assert archives.sweep(served.platform) == 1
    assert told.names() == ["ObjectRestore:Delete"]
    assert archives.sweep(served.platform) == 0


def test_versions_are_restored_for_themselves(served: Served, s3: Any) -> None:
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    old, new = (s3.put_object(**THIS, Body=body, StorageClass="GLACIER")["VersionId"] for body in (b"old", b"new"))
    s3.restore_object(**THIS, VersionId=old, RestoreRequest={"Days": 1})
    assert s3.get_object(**THIS, VersionId=old)["Body"].read() == b"old"
    assert refusal(s3.get_object, **THIS, VersionId=new)[0] == "InvalidObjectState"
    served.later(3 * DAY)
    assert archives.sweep(served.platform) == 1


def test_what_cannot_be_restored(s3: Any) -> None:
    s3.put_object(**THIS, Body=b"data")
    assert refusal(s3.restore_object, **THIS, RestoreRequest={"Days": 1})[:2] == ("InvalidObjectState", 403)
    s3.put_object(**THIS, Body=b"data", StorageClass="DEEP_ARCHIVE")
    for request, code in (
        ({"Days": 0}, "InvalidArgument"),
        ({}, "MalformedXML"),
        ({"Days": 1, "GlacierJobParameters": {"Tier": "Soon"}}, "MalformedXML"),
        ({"Days": 1, "GlacierJobParameters": {"Tier": "Expedited"}}, "InvalidArgument"),
        ({"Days": 1, "Type": "SELECT"}, "NotImplemented"),
    ):
        assert refusal(s3.restore_object, **THIS, RestoreRequest=request)[0] == code, request
    assert refusal(s3.restore_object, Bucket=BUCKET, Key="none", RestoreRequest={"Days": 1})[0] == "NoSuchKey"
    assert refusal(s3.put_object, **THIS, StorageClass="OUTPOSTS")[0] == "NotImplemented"
