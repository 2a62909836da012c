"""Lifecycle: configurations, what is told of an object's end, and that the end comes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.engine import Connection

from api.s3.faults import refused
from clary.clock import Clock
from clary.services.s3 import bucket_settings, index, lifecycle_sweep, version_listings

DAY = 86_400
BIG = bytes(128 * 1024)


class Ahead:
    """The machine's clock, some days ahead."""

    def __init__(self, clock: Clock, days: float) -> None:
        self._clock = clock
        self._ahead = days * DAY

    def now(self) -> float:
        return self._clock.now() + self._ahead

    def monotonic(self) -> float:
        return self._clock.monotonic()


def sweep(server: SimpleNamespace, days: float) -> int:
    """What would be done so many days from now."""
    platform = server.platform
    return lifecycle_sweep.sweep(dataclasses.replace(platform, clock=Ahead(platform.clock, days)))


def configure(s3: Any, bucket: str, *rules: dict[str, Any], **given: str) -> None:
    complete = [{"Status": "Enabled", **({} if "Prefix" in rule else {"Filter": {}}), **rule} for rule in rules]
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": complete}, **given)


def keys(s3: Any, bucket: str) -> list[str]:
    return [each["Key"] for each in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


@pytest.fixture(autouse=True)
def no_rules_are_left(s3: Any) -> Iterator[None]:
    """A sweep is about all buckets."""
    yield
    for each in s3.list_buckets()["Buckets"]:
        s3.delete_bucket_lifecycle(Bucket=each["Name"])


@pytest.fixture
def versioned(s3: Any, bucket: str) -> str:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return bucket


def test_a_configuration_comes_and_goes(s3: Any, bucket: str) -> None:
    with refused("NoSuchLifecycleConfiguration", 404):
        s3.get_bucket_lifecycle_configuration(Bucket=bucket)
    rules = [
        {"ID": "a", "Status": "Enabled", "Prefix": "old/", "Expiration": {"Days": 1}},
        {
            "ID": "b",
            "Status": "Disabled",
            "Filter": {"And": {"Prefix": "p", "Tags": [{"Key": "k", "Value": "v"}], "ObjectSizeLessThan": 9}},
            "Expiration": {"Date": datetime(2030, 1, 1, tzinfo=UTC)},
            "Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}],
            "NoncurrentVersionExpiration": {"NoncurrentDays": 3, "NewerNoncurrentVersions": 2},
        },
        {"ID": "c", "Status": "Enabled", "Filter": {}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}},
    ]
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})
    found = s3.get_bucket_lifecycle_configuration(Bucket=bucket)
    assert found["Rules"] == rules
    assert found["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"
    configure(s3, bucket, {"Expiration": {"Days": 1}})
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert rule["ID"]
    s3.delete_bucket_lifecycle(Bucket=bucket)
    with refused("NoSuchLifecycleConfiguration", 404):
        s3.get_bucket_lifecycle_configuration(Bucket=bucket)


@pytest.mark.parametrize(
    ("rule", "code", "told"),
    [
        ({}, "InvalidRequest", "At least one action"),
        ({"Expiration": {"Days": 0}}, "InvalidArgument", "'Days' for Expiration action must be a positive integer"),
        ({"Expiration": {"Days": 999_999_999}}, "InvalidArgument", "'Days' for Expiration action must be"),
        ({"Transitions": [{"Days": 999_999_999, "StorageClass": "GLACIER"}]}, "InvalidArgument", "must be at most"),
        ({"NoncurrentVersionExpiration": {"NoncurrentDays": 999_999_999}}, "InvalidArgument", "of at most 1000000"),
        ({"Expiration": {"Days": 1, "ExpiredObjectDeleteMarker": True}}, "MalformedXML", ""),
        ({"Expiration": {"Date": datetime(2030, 1, 1, 1, tzinfo=UTC)}}, "InvalidArgument", "at midnight GMT"),
        ({"Expiration": {"Days": 1}, "Status": "enabled"}, "MalformedXML", ""),
        ({"Expiration": {"Days": 1}, "Prefix": "a", "Filter": {"Prefix": "a"}}, "MalformedXML", ""),
        ({"Expiration": {"Days": 1}, "ID": "i" * 256}, "InvalidArgument", "ID length should not exceed"),
        ({"NoncurrentVersionExpiration": {"NewerNoncurrentVersions": 1}}, "MalformedXML", ""),
        ({"Transitions": [{"Days": 29, "StorageClass": "STANDARD_IA"}]}, "InvalidArgument", "equal to 30"),
        ({"Transitions": [{"Days": 1, "StorageClass": "WARM"}]}, "InvalidStorageClass", ""),
        (
            {
                "Filter": {"Tag": {"Key": "a", "Value": "b"}},
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
            },
            "InvalidRequest",
            "cannot be specified with Tags",
        ),
    ],
)
def test_rules_that_are_none(s3: Any, bucket: str, rule: dict[str, Any], code: str, told: str) -> None:
    with refused(code, 400) as caught:
        configure(s3, bucket, rule)
    caught.match(told)


def test_objects_never_move_back(s3: Any, bucket: str, server: SimpleNamespace) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=BIG, StorageClass="GLACIER_IR")
    configure(s3, bucket, {"Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}]})
    assert sweep(server, 40) == 0
    configure(s3, bucket, {"Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]})
    assert sweep(server, 3) == 1
    with refused("InvalidObjectState", 403):
        s3.get_object(Bucket=bucket, Key="k")


def test_two_rules_of_one_name(s3: Any, bucket: str) -> None:
    with refused("InvalidArgument", 400) as caught:
        configure(s3, bucket, {"ID": "a", "Expiration": {"Days": 1}}, {"ID": "a", "Expiration": {"Days": 2}})
    caught.match("Rule ID must be unique")


def test_the_end_is_told(s3: Any, bucket: str) -> None:
    tagged = {"Filter": {"Tag": {"Key": "a", "Value": "b"}}, "Expiration": {"Days": 1}, "ID": "tagged one"}
    configure(s3, bucket, {"ID": "all", "Expiration": {"Days": 5}}, tagged)
    assert 'rule-id="all"' in s3.put_object(Bucket=bucket, Key="k", Body=b"")["Expiration"]
    told = s3.head_object(Bucket=bucket, Key="k")["Expiration"]
    date = parsedate_to_datetime(told.split('"')[1])
    assert (date.hour, date.minute, date.second) == (0, 0, 0)
    assert 5 <= (date - datetime.now(UTC)).total_seconds() / DAY <= 6
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    assert 'rule-id="tagged%20one"' in s3.get_object(Bucket=bucket, Key="k")["Expiration"]
    s3.delete_bucket_lifecycle(Bucket=bucket)
    assert "Expiration" not in s3.head_object(Bucket=bucket, Key="k")


def test_an_end_beyond_the_calendar(s3: Any, bucket: str, server: SimpleNamespace) -> None:
    """Days were not always bounded."""
    rule = {"ID": "far", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 999_999_999}}

    def work(connection: Connection) -> None:
        found = index.find_bucket(connection, bucket)
        assert found is not None
        bucket_settings.enter(connection, found, "Lifecycle", {"Rules": [rule], "Smallest": "varies_by_storage_class"})

    server.platform.stores.objects.write(work)
    told = s3.put_object(Bucket=bucket, Key="k", Body=b"")["Expiration"]
    assert told == 'expiry-date="Fri, 31 Dec 9999 00:00:00 GMT", rule-id="far"'


def test_objects_expire(s3: Any, bucket: str, server: SimpleNamespace) -> None:
    for key in ("old/a", "old/b", "new"):
        s3.put_object(Bucket=bucket, Key=key, Body=BIG)
    s3.put_object(Bucket=bucket, Key="tagged", Body=b"", Tagging="a=b")
    configure(
        s3,
        bucket,
        {"Filter": {"Prefix": "old/"}, "Expiration": {"Days": 2}},
        {"Filter": {"Tag": {"Key": "a", "Value": "b"}}, "Expiration": {"Days": 1}},
        {"Status": "Disabled", "Expiration": {"Days": 1}},
    )
    assert sweep(server, 0.5) == 0
    sweep(server, 2)
    assert keys(s3, bucket) == ["new", "old/a", "old/b"]
    sweep(server, 3)
    assert keys(s3, bucket) == ["new"]
    assert sweep(server, 3) == 0


def test_only_keys_that_rules_are_about_are_looked_at(
    s3: Any, bucket: str, server: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("a", "tmp/a/1", "tmp/a/2", "tmp/b", "z"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    both = ({"Prefix": prefix, "Expiration": {"Days": 1}} for prefix in ("tmp/a/", "tmp/b"))
    configure(s3, bucket, *both, {"Prefix": "z", "Status": "Disabled", "Expiration": {"Days": 1}})
    looked: list[str] = []
    scan = version_listings.scan

    def watched(*given: Any) -> Any:
        found = scan(*given)
        looked.extend(each.entry.key.decode() for each in found)
        return found

    monkeypatch.setattr(version_listings, "scan", watched)
    assert sweep(server, 3) == 3
    assert looked == ["tmp/a/1", "tmp/a/2", "tmp/b"]
    assert keys(s3, bucket) == ["a", "z"]


def test_a_batch_ends_within_a_key(
    s3: Any, versioned: str, server: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches bound transactions; what a rule means does not change with them."""
    monkeypatch.setattr(lifecycle_sweep, "_BATCH", 2)
    put = [s3.put_object(Bucket=versioned, Key=key, Body=b"")["VersionId"] for key in ("a", "b") for _ in range(5)]
    configure(s3, versioned, {"NoncurrentVersionExpiration": {"NoncurrentDays": 1, "NewerNoncurrentVersions": 2}})
    assert sweep(server, 3) == 4
    left = {each["VersionId"] for each in s3.list_object_versions(Bucket=versioned)["Versions"]}
    assert left == {*put[2:5], *put[7:]}


def test_versions_expire(s3: Any, versioned: str, server: SimpleNamespace) -> None:
    first = s3.put_object(Bucket=versioned, Key="k", Body=BIG)["VersionId"]
    configure(s3, versioned, {"Expiration": {"Days": 1}, "NoncurrentVersionExpiration": {"NoncurrentDays": 1}})
    sweep(server, 2)
    assert keys(s3, versioned) == []
    assert s3.get_object(Bucket=versioned, Key="k", VersionId=first)["ContentLength"] == len(BIG)
    sweep(server, 5)  # the marker is as young as its own sweep
    with refused("NoSuchVersion", 404):
        s3.get_object(Bucket=versioned, Key="k", VersionId=first)
    assert len(s3.list_object_versions(Bucket=versioned)["DeleteMarkers"]) == 1
    sweep(server, 8)
    assert "DeleteMarkers" not in s3.list_object_versions(Bucket=versioned)
    s3.delete_bucket(Bucket=versioned)


def test_markers_that_hide_nothing(s3: Any, versioned: str, server: SimpleNamespace) -> None:
    s3.put_object(Bucket=versioned, Key="hidden", Body=b"")
    for key in ("hidden", "nothing"):
        s3.delete_object(Bucket=versioned, Key=key)
    configure(s3, versioned, {"Expiration": {"ExpiredObjectDeleteMarker": True}})
    assert sweep(server, 0) == 1
    assert [each["Key"] for each in s3.list_object_versions(Bucket=versioned)["DeleteMarkers"]] == ["hidden"]


def test_locked_versions_stay(s3: Any, server: SimpleNamespace) -> None:
    s3.create_bucket(Bucket="lifecycle-and-lock", ObjectLockEnabledForBucket=True)
    this = {"Bucket": "lifecycle-and-lock", "Key": "k"}
    s3.put_object(**this, Body=b"", ObjectLockLegalHoldStatus="ON")
    s3.put_object(**this, Body=b"")
    configure(s3, "lifecycle-and-lock", {"NoncurrentVersionExpiration": {"NoncurrentDays": 1}})
    assert sweep(server, 3) == 0
    assert len(s3.list_object_versions(Bucket="lifecycle-and-lock")["Versions"]) == 2


def test_uploads_are_aborted(s3: Any, bucket: str, server: SimpleNamespace) -> None:
    for key in ("a/1", "b/1"):
        upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=BIG)
    configure(s3, bucket, {"Prefix": "a/", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}})
    assert sweep(server, 0.5) == 0
    assert sweep(server, 2) == 1
    assert [each["Key"] for each in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == ["b/1"]


def test_the_end_of_an_upload_is_told(s3: Any, bucket: str) -> None:
    given = {"Bucket": bucket, "Key": "a/1"}
    assert "AbortDate" not in s3.create_multipart_upload(**given)
    both = [{"ID": f"{days} days", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": days}} for days in (3, 2)]
    configure(s3, bucket, *({"Prefix": "a/", **rule} for rule in both))
    made = s3.create_multipart_upload(**given)
    assert made["AbortRuleId"] == "2 days"
    assert timedelta(days=2) < made["AbortDate"] - datetime.now(UTC) <= timedelta(days=3)
    assert (made["AbortDate"].hour, made["AbortDate"].minute) == (0, 0)
    shown = s3.list_parts(**given, UploadId=made["UploadId"])
    assert (shown["AbortRuleId"], shown["AbortDate"]) == ("2 days", made["AbortDate"])
    assert "AbortDate" not in s3.create_multipart_upload(Bucket=bucket, Key="b/1")


def test_objects_move(s3: Any, bucket: str, server: SimpleNamespace) -> None:
    s3.put_object(Bucket=bucket, Key="big", Body=BIG)
    s3.put_object(Bucket=bucket, Key="small", Body=b"")
    configure(s3, bucket, {"Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}]})
    assert sweep(server, 29) == 0
    assert sweep(server, 31) == 1
    assert s3.head_object(Bucket=bucket, Key="big")["StorageClass"] == "STANDARD_IA"
    assert sweep(server, 32) == 0
    rule = {"Transitions": [{"Days": 0, "StorageClass": "INTELLIGENT_TIERING"}]}
    configure(s3, bucket, rule, TransitionDefaultMinimumObjectSize="varies_by_storage_class")
    assert sweep(server, 1) == 2
