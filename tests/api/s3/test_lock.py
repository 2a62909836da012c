"""Object lock: what may not be deleted, and who may pass by."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.s3.faults import refused

LATER = datetime.now(UTC).replace(microsecond=0) + timedelta(days=10)


@pytest.fixture
def locked(s3: Any, request: pytest.FixtureRequest) -> str:
    name = f"l{abs(hash(request.node.nodeid)):x}"
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return name


def test_configuration(s3: Any, bucket: str, locked: str) -> None:
    with refused("ObjectLockConfigurationNotFoundError", 404):
        s3.get_object_lock_configuration(Bucket=bucket)
    enabled = {"ObjectLockEnabled": "Enabled"}
    with refused("InvalidBucketState", 409):
        s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=enabled)
    assert s3.get_object_lock_configuration(Bucket=locked)["ObjectLockConfiguration"] == enabled
    assert s3.get_bucket_versioning(Bucket=locked)["Status"] == "Enabled"
    wanted = {**enabled, "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Years": 1}}}
    s3.put_object_lock_configuration(Bucket=locked, ObjectLockConfiguration=wanted)
    assert s3.get_object_lock_configuration(Bucket=locked)["ObjectLockConfiguration"] == wanted
    with refused("InvalidBucketState", 409):
        s3.put_bucket_versioning(Bucket=locked, VersioningConfiguration={"Status": "Suspended"})

    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=enabled)


@pytest.mark.parametrize(
    ("default", "code"),
    [
        ({"Mode": "GOVERNANCE", "Days": 0}, "InvalidRetentionPeriod"),
        ({"Mode": "GOVERNANCE", "Years": -1}, "InvalidRetentionPeriod"),
        ({"Mode": "GOVERNANCE", "Days": 36_501}, "InvalidRetentionPeriod"),
        ({"Mode": "GOVERNANCE", "Days": 1, "Years": 1}, "MalformedXML"),
        ({"Mode": "governance", "Days": 1}, "MalformedXML"),
        ({"Mode": "GOVERNANCE"}, "MalformedXML"),
    ],
)
def test_defaults_that_are_none(s3: Any, locked: str, default: dict[str, Any], code: str) -> None:
    wanted = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": default}}
    with refused(code, 400):
        s3.put_object_lock_configuration(Bucket=locked, ObjectLockConfiguration=wanted)


def test_retention_holds_the_version(s3: Any, locked: str) -> None:
    version = s3.put_object(Bucket=locked, Key="k", Body=b"data")["VersionId"]
    this = {"Bucket": locked, "Key": "k", "VersionId": version}
    with refused("NoSuchObjectLockConfiguration", 404):
        s3.get_object_retention(**this)
    s3.put_object_retention(**this, Retention={"Mode": "COMPLIANCE", "RetainUntilDate": LATER})
    assert s3.get_object_retention(**this)["Retention"] == {"Mode": "COMPLIANCE", "RetainUntilDate": LATER}
    told = s3.head_object(**this)
    assert (told["ObjectLockMode"], told["ObjectLockRetainUntilDate"]) == ("COMPLIANCE", LATER)
    for bypass in ({}, {"BypassGovernanceRetention": True}):
        with refused("AccessDenied", 403) as caught:
            s3.delete_object(**this, **bypass)
        caught.match("protected by object lock")
        answer = s3.delete_objects(Bucket=locked, Delete={"Objects": [{"Key": "k", "VersionId": version}]}, **bypass)
        assert [each["Code"] for each in answer["Errors"]] == ["AccessDenied"]
    marker = s3.delete_object(Bucket=locked, Key="k")["VersionId"]  # which takes nothing away
    s3.delete_object(Bucket=locked, Key="k", VersionId=marker)
    assert s3.get_object(**this)["Body"].read() == b"data"


def test_governance_can_be_passed_by(s3: Any, locked: str) -> None:
    given = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": LATER}
    version = s3.put_object(Bucket=locked, Key="k", Body=b"", **given)["VersionId"]
    this = {"Bucket": locked, "Key": "k", "VersionId": version}
    longer = {"Mode": "GOVERNANCE", "RetainUntilDate": LATER + timedelta(days=1)}
    s3.put_object_retention(**this, Retention=longer)
    shorter = {"Mode": "GOVERNANCE", "RetainUntilDate": LATER - timedelta(days=1)}
    for changed in (shorter, {**longer, "Mode": "COMPLIANCE"}, {}):
        with refused("AccessDenied", 403):
            s3.put_object_retention(**this, Retention=changed)
    s3.put_object_retention(**this, Retention=shorter, BypassGovernanceRetention=True)
    with refused("AccessDenied", 403):
        s3.delete_object(**this)
    s3.delete_object(**this, BypassGovernanceRetention=True)
    with refused("NoSuchVersion", 404):
        s3.get_object(**this)


def test_compliance_cannot_be_loosened(s3: Any, locked: str) -> None:
    given = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": LATER}
    s3.put_object(Bucket=locked, Key="k", Body=b"", **given)
    for retention in (
        {"Mode": "GOVERNANCE", "RetainUntilDate": LATER},
        {"Mode": "COMPLIANCE", "RetainUntilDate": LATER - timedelta(days=1)},
        {},
    ):
        with refused("AccessDenied", 403):
            s3.put_object_retention(Bucket=locked, Key="k", Retention=retention, BypassGovernanceRetention=True)


def test_legal_hold(s3: Any, locked: str) -> None:
    version = s3.put_object(Bucket=locked, Key="k", Body=b"", ObjectLockLegalHoldStatus="ON")["VersionId"]
    this = {"Bucket": locked, "Key": "k", "VersionId": version}
    assert s3.get_object_legal_hold(**this)["LegalHold"] == {"Status": "ON"}
    with refused("AccessDenied", 403):
        s3.delete_object(**this, BypassGovernanceRetention=True)
    with refused("MalformedXML", 400):
        s3.put_object_legal_hold(**this, LegalHold={"Status": "on"})
    s3.put_object_legal_hold(**this, LegalHold={"Status": "OFF"})
    s3.delete_object(**this)


def test_the_default_of_the_bucket(s3: Any, locked: str) -> None:
    default = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 2}}}
    s3.put_object_lock_configuration(Bucket=locked, ObjectLockConfiguration=default)
    s3.put_object(Bucket=locked, Key="put", Body=b"")
    upload = {"Bucket": locked, "Key": "parts"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    part = s3.upload_part(**upload, PartNumber=1, Body=b"")["ETag"]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]})
    s3.copy_object(Bucket=locked, Key="copy", CopySource=f"{locked}/put")
    for key in ("put", "parts", "copy"):
        told = s3.head_object(Bucket=locked, Key=key)
        assert told["ObjectLockMode"] == "GOVERNANCE"
        assert timedelta(days=1.9) < told["ObjectLockRetainUntilDate"] - datetime.now(UTC) <= timedelta(days=2)
    given = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": LATER}
    s3.put_object(Bucket=locked, Key="own", Body=b"", **given)
    assert s3.head_object(Bucket=locked, Key="own")["ObjectLockMode"] == "COMPLIANCE"


def test_locks_that_cannot_be_had(s3: Any, bucket: str, locked: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    retention = {"Mode": "GOVERNANCE", "RetainUntilDate": LATER}
    for call in (
        lambda: s3.put_object_retention(Bucket=bucket, Key="k", Retention=retention),
        lambda: s3.get_object_retention(Bucket=bucket, Key="k"),
        lambda: s3.put_object_legal_hold(Bucket=bucket, Key="k", LegalHold={"Status": "ON"}),
        lambda: s3.get_object_legal_hold(Bucket=bucket, Key="k"),
        lambda: s3.put_object(Bucket=bucket, Key="k", Body=b"", ObjectLockLegalHoldStatus="ON"),
    ):
        with refused("InvalidRequest", 400) as caught:
            call()
        caught.match("Bucket is missing Object Lock Configuration")
    past = datetime.now(UTC) - timedelta(days=1)
    for given in (
        {"ObjectLockMode": "GOVERNANCE"},
        {"ObjectLockRetainUntilDate": LATER},
        {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": past},
        {"ObjectLockMode": "HARD", "ObjectLockRetainUntilDate": LATER},
        {"ObjectLockLegalHoldStatus": "MAYBE"},
    ):
        with refused("InvalidArgument", 400):
            s3.put_object(Bucket=locked, Key="k", Body=b"", **given)
