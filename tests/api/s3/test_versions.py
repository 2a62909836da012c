"""Versions and delete markers: what is current, what is kept, what is told of it."""

from __future__ import annotations

from typing import Any

import pytest

from api.s3.faults import refused
from clary.services.s3 import version_listings
from clary.services.s3.writing import SMALL


def switch(s3: Any, bucket: str, status: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


def put(s3: Any, bucket: str, key: str, data: bytes) -> str:
    version: str = s3.put_object(Bucket=bucket, Key=key, Body=data)["VersionId"]
    return version


def read(s3: Any, bucket: str, key: str, **given: str) -> bytes:
    data: bytes = s3.get_object(Bucket=bucket, Key=key, **given)["Body"].read()
    return data


def history(s3: Any, bucket: str, **given: Any) -> list[tuple[str, str, bool, bool]]:
    """(key, version, is latest, is marker), of each key the newest first."""
    answer = s3.list_object_versions(Bucket=bucket, **given)
    found = [(each, False) for each in answer.get("Versions", [])] + [
        (each, True) for each in answer.get("DeleteMarkers", [])
    ]
    found.sort(key=lambda item: (item[0]["Key"], -item[0]["LastModified"].timestamp(), not item[0]["IsLatest"]))
    return [(each["Key"], each["VersionId"], each["IsLatest"], marker) for each, marker in found]


@pytest.fixture
def versioned(s3: Any, bucket: str) -> str:
    switch(s3, bucket, "Enabled")
    return bucket


def test_the_state_of_a_bucket(s3: Any, bucket: str) -> None:
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    for status in ("Enabled", "Suspended", "Enabled"):
        switch(s3, bucket, status)
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == status
    with refused("IllegalVersioningConfigurationException", 400):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={})
    with refused("MalformedXML", 400):
        switch(s3, bucket, "On")
    with refused("NotImplemented", 501):
        s3.put_bucket_versioning(
            Bucket=bucket, VersioningConfiguration={"Status": "Enabled", "MFADelete": "Enabled"}, MFA="1 2"
        )


@pytest.mark.parametrize("size", [1, SMALL + 1])
def test_every_version_is_there(s3: Any, versioned: str, size: int) -> None:
    data = [bytes([number]) * size for number in range(3)]
    versions = [put(s3, versioned, "k", each) for each in data]
    assert len(set(versions)) == 3
    assert [read(s3, versioned, "k", VersionId=each) for each in versions] == data
    newest = s3.get_object(Bucket=versioned, Key="k")
    assert (newest["Body"].read(), newest["VersionId"]) == (data[2], versions[2])
    assert s3.head_object(Bucket=versioned, Key="k", VersionId=versions[0])["ContentLength"] == size
    listed = s3.list_object_versions(Bucket=versioned)["Versions"]
    assert [each["VersionId"] for each in listed] == versions[::-1]
    assert [each["IsLatest"] for each in listed] == [True, False, False]


def test_a_marker_hides_the_object(s3: Any, versioned: str) -> None:
    version = put(s3, versioned, "k", b"data")
    deleted = s3.delete_object(Bucket=versioned, Key="k")
    marker = deleted["VersionId"]
    assert deleted["DeleteMarker"] is True
    with refused("NoSuchKey", 404) as caught:
        s3.get_object(Bucket=versioned, Key="k")
    headers = caught.value.response["ResponseMetadata"]["HTTPHeaders"]
    assert (headers["x-amz-delete-marker"], headers["x-amz-version-id"]) == ("true", marker)
    with refused("404", 404):
        s3.head_object(Bucket=versioned, Key="k")
    with refused("MethodNotAllowed", 405) as caught:
        s3.get_object(Bucket=versioned, Key="k", VersionId=marker)
    assert caught.value.response["ResponseMetadata"]["HTTPHeaders"]["allow"] == "DELETE"
    assert "Contents" not in s3.list_objects_v2(Bucket=versioned)
    assert read(s3, versioned, "k", VersionId=version) == b"data"
    assert [each[1:] for each in history(s3, versioned)] == [(marker, True, True), (version, False, False)]
    with refused("BucketNotEmpty", 409):
        s3.delete_bucket(Bucket=versioned)

    gone = s3.delete_object(Bucket=versioned, Key="k", VersionId=marker)
    assert (gone["DeleteMarker"], gone["VersionId"]) == (True, marker)
    assert read(s3, versioned, "k") == b"data"


def test_the_next_version_becomes_current(s3: Any, versioned: str) -> None:
    first, second = put(s3, versioned, "k", b"1"), put(s3, versioned, "k", b"2")
    s3.delete_object(Bucket=versioned, Key="k", VersionId=second)
    assert read(s3, versioned, "k") == b"1"
    assert s3.list_objects_v2(Bucket=versioned)["Contents"][0]["Size"] == 1
    s3.delete_object(Bucket=versioned, Key="k", VersionId=first)
    with refused("NoSuchKey", 404):
        s3.get_object(Bucket=versioned, Key="k")
    s3.delete_bucket(Bucket=versioned)


def test_what_there_was_before(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"old")
    assert "VersionId" not in s3.head_object(Bucket=bucket, Key="k")
    switch(s3, bucket, "Enabled")
    assert s3.head_object(Bucket=bucket, Key="k")["VersionId"] == "null"
    put(s3, bucket, "k", b"new")
    assert read(s3, bucket, "k", VersionId="null") == b"old"


def test_suspended(s3: Any, versioned: str) -> None:
    """There is one "null" version at most; all others stay."""
    kept = put(s3, versioned, "k", b"kept")
    switch(s3, versioned, "Suspended")
    assert put(s3, versioned, "k", b"null") == "null"
    assert put(s3, versioned, "k", b"null again") == "null"
    assert [each[1] for each in history(s3, versioned)] == ["null", kept]
    deleted = s3.delete_object(Bucket=versioned, Key="k")
    assert (deleted["VersionId"], deleted["DeleteMarker"]) == ("null", True)
    assert [each[1:] for each in history(s3, versioned)] == [("null", True, True), (kept, False, False)]
    assert put(s3, versioned, "k", b"instead of the marker") == "null"
    switch(s3, versioned, "Enabled")
    newest = put(s3, versioned, "k", b"newest")
    assert [each[1] for each in history(s3, versioned)] == [newest, "null", kept]
    switch(s3, versioned, "Suspended")
    put(s3, versioned, "k", b"instead of a null that is not current")
    assert [each[1] for each in history(s3, versioned)] == ["null", newest, kept]


def test_versions_that_are_not_there(s3: Any, versioned: str) -> None:
    version = put(s3, versioned, "k", b"")
    with refused("InvalidArgument", 400):
        s3.get_object(Bucket=versioned, Key="k", VersionId="none")
    with refused("NoSuchVersion", 404):
        s3.get_object(Bucket=versioned, Key="other", VersionId=version)
    with refused("NoSuchVersion", 404):
        s3.get_object(Bucket=versioned, Key="k", VersionId="null")
    assert s3.delete_object(Bucket=versioned, Key="other", VersionId=version)["VersionId"] == version


def test_many_deletions(s3: Any, versioned: str) -> None:
    version = put(s3, versioned, "a", b"")
    put(s3, versioned, "b", b"")
    wanted = [{"Key": "a", "VersionId": version}, {"Key": "b"}, {"Key": "c"}]
    deleted = {each["Key"]: each for each in s3.delete_objects(Bucket=versioned, Delete={"Objects": wanted})["Deleted"]}
    assert deleted["a"] == {"Key": "a", "VersionId": version}
    for key in ("b", "c"):  # a marker even where there was nothing
        assert deleted[key]["DeleteMarker"] is True
    assert [each[0] for each in history(s3, versioned) if each[3]] == ["b", "c"]


def test_copies_of_versions(s3: Any, versioned: str) -> None:
    first = put(s3, versioned, "k", b"first")
    put(s3, versioned, "k", b"second")
    source = {"Bucket": versioned, "Key": "k", "VersionId": first}
    copied = s3.copy_object(Bucket=versioned, Key="k", CopySource=source)
    assert copied["CopySourceVersionId"] == first
    assert read(s3, versioned, "k") == b"first"
    assert copied["VersionId"] == s3.head_object(Bucket=versioned, Key="k")["VersionId"]
    upload = {"Bucket": versioned, "Key": "l"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    part = s3.upload_part_copy(**upload, PartNumber=1, CopySource=source)["CopyPartResult"]["ETag"]
    done = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]})
    newer = put(s3, versioned, "l", b"over it")
    assert read(s3, versioned, "l", VersionId=done["VersionId"]) == b"first"
    s3.delete_object(Bucket=versioned, Key="l", VersionId=newer)
    assert read(s3, versioned, "l") == b"first"


def test_tags_of_versions(s3: Any, versioned: str) -> None:
    first = put(s3, versioned, "k", b"")
    second = put(s3, versioned, "k", b"")
    for version in (first, second):
        tagging = {"TagSet": [{"Key": "v", "Value": version}]}
        answer = s3.put_object_tagging(Bucket=versioned, Key="k", VersionId=version, Tagging=tagging)
        assert answer["VersionId"] == version
    assert s3.get_object_tagging(Bucket=versioned, Key="k")["TagSet"][0]["Value"] == second
    assert s3.get_object_tagging(Bucket=versioned, Key="k", VersionId=first)["TagSet"][0]["Value"] == first
    s3.delete_object_tagging(Bucket=versioned, Key="k", VersionId=first)
    assert s3.get_object_tagging(Bucket=versioned, Key="k", VersionId=first)["TagSet"] == []
    assert s3.get_object_tagging(Bucket=versioned, Key="k")["TagSet"] != []


@pytest.mark.parametrize("batch", [1, 2, 1001])
@pytest.mark.parametrize("most", [1, 2, 3, 1000])
def test_pages(s3: Any, versioned: str, most: int, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many rows are read at once."""
    monkeypatch.setattr(version_listings, "_BATCH", batch)
    for key in ("a", "a/1", "a/2", "b", "c"):
        for _ in range(2):
            put(s3, versioned, key, b"")
    s3.delete_object(Bucket=versioned, Key="c")
    whole = [(each[0], each[1], each[2]) for each in _pages(s3, versioned, 1000)]
    assert [each[0] for each in whole] == ["a", "a", "a/1", "a/1", "a/2", "a/2", "b", "b", "c", "c", "c"]
    assert [each[0] for each in whole if each[2]] == ["a", "a/1", "a/2", "b", "c"]
    assert _pages(s3, versioned, most) == whole
    assert _pages(s3, versioned, most, Prefix="a/") == whole[2:6]
    rolled = s3.list_object_versions(Bucket=versioned, Delimiter="/", MaxKeys=3)
    assert [each["Prefix"] for each in rolled["CommonPrefixes"]] == ["a/"]
    assert (rolled["IsTruncated"], rolled["NextKeyMarker"], "NextVersionIdMarker" in rolled) == (True, "a/", False)
    following = s3.list_object_versions(Bucket=versioned, Delimiter="/", KeyMarker="a/")
    assert [each["Key"] for each in following["Versions"]] == ["b", "b", "c", "c"]


def _pages(s3: Any, bucket: str, most: int, **given: Any) -> list[tuple[str, str, bool]]:
    found: list[tuple[str, str, bool]] = []
    markers: dict[str, str] = {}
    while True:
        answer = s3.list_object_versions(Bucket=bucket, MaxKeys=most, **given, **markers)
        shown = [*answer.get("DeleteMarkers", []), *answer.get("Versions", [])]
        assert len(shown) <= most
        # The page has markers and versions apart; together they are in order.
        shown.sort(key=lambda each: (each["Key"], each["VersionId"]), reverse=True)
        shown.sort(key=lambda each: each["Key"])
        found += [(each["Key"], each["VersionId"], each["IsLatest"]) for each in shown]
        if not answer["IsTruncated"]:
            return found
        markers = {"KeyMarker": answer["NextKeyMarker"], "VersionIdMarker": answer["NextVersionIdMarker"]}


def test_a_listing_goes_on_behind_versions_that_are_gone(s3: Any, versioned: str) -> None:
    """As the resource API's `object_versions.delete()` does: each page is deleted before the next is asked for."""
    put_all = {put(s3, versioned, key, b"") for key in ("a", "b") for _ in range(5)}
    seen: set[str] = set()
    markers: dict[str, str] = {}
    while True:
        answer = s3.list_object_versions(Bucket=versioned, MaxKeys=3, **markers)
        for each in answer["Versions"]:
            seen.add(each["VersionId"])
            s3.delete_object(Bucket=versioned, Key=each["Key"], VersionId=each["VersionId"])
        if not answer["IsTruncated"]:
            break
        markers = {"KeyMarker": answer["NextKeyMarker"], "VersionIdMarker": answer["NextVersionIdMarker"]}
    assert seen == put_all
    s3.delete_bucket(Bucket=versioned)


def test_markers_of_a_listing_that_are_none(s3: Any, versioned: str) -> None:
    with refused("InvalidArgument", 400):
        s3.list_object_versions(Bucket=versioned, VersionIdMarker="null")
    with refused("InvalidArgument", 400):
        s3.list_object_versions(Bucket=versioned, KeyMarker="k", VersionIdMarker="none")


def test_conditions_look_at_what_is_current(s3: Any, versioned: str) -> None:
    put(s3, versioned, "k", b"")
    s3.delete_object(Bucket=versioned, Key="k")
    s3.put_object(Bucket=versioned, Key="k", Body=b"", IfNoneMatch="*")
    with refused("PreconditionFailed", 412):
        s3.put_object(Bucket=versioned, Key="k", Body=b"", IfNoneMatch="*")
