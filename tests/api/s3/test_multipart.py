"""Multipart uploads: parts, their checks, the object they make, and what is left of aborted ones."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import pytest

from api.s3.faults import refused
from api.s3.kept import Kept
from whole_server import wait_until

MIB = 1024 * 1024
FIVE = os.urandom(5 * MIB)


def begin(s3: Any, bucket: str, **options: Any) -> dict[str, Any]:
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", **options)
    return {"Bucket": bucket, "Key": "k", "UploadId": upload["UploadId"]}


def send(s3: Any, upload: dict[str, Any], *parts: bytes) -> list[dict[str, Any]]:
    sent = []
    for number, data in enumerate(parts, 1):
        answer = s3.upload_part(**upload, PartNumber=number, Body=data)
        sums = {name: value for name, value in answer.items() if name.startswith("Checksum")}
        sent.append({"PartNumber": number, "ETag": answer["ETag"], **sums})
    return sent


def complete(s3: Any, upload: dict[str, Any], parts: list[dict[str, Any]], **options: Any) -> Any:
    return s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, **options)


def test_parts_become_one_object(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket, Metadata={"m": "1"}, ContentType="text/csv", Tagging="t=1")
    parts = send(s3, upload, FIVE, FIVE[::-1], b"end")
    done = complete(s3, upload, parts)
    digests = b"".join(hashlib.md5(data).digest() for data in (FIVE, FIVE[::-1], b"end"))
    assert done["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-3"'
    assert done["Location"].endswith(f"/{bucket}/k")
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == FIVE + FIVE[::-1] + b"end"
    assert (got["Metadata"], got["ContentType"], got["TagCount"], got["ETag"]) == (
        {"m": "1"},
        "text/csv",
        1,
        done["ETag"],
    )
    across = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={5 * MIB - 2}-{10 * MIB + 1}")
    assert across["Body"].read() == FIVE[-2:] + FIVE[::-1] + b"en"


def test_parts_can_be_read_alone(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket)
    complete(s3, upload, send(s3, upload, FIVE, b"end"))
    got = s3.get_object(Bucket=bucket, Key="k", PartNumber=2)
    assert (got["Body"].read(), got["PartsCount"]) == (b"end", 2)
    assert got["ContentRange"] == f"bytes {5 * MIB}-{5 * MIB + 2}/{5 * MIB + 3}"
    assert s3.head_object(Bucket=bucket, Key="k", PartNumber=1)["ContentLength"] == 5 * MIB
    with refused("InvalidPartNumber", 416):
        s3.get_object(Bucket=bucket, Key="k", PartNumber=3)
    with refused("InvalidRequest", 400):
        s3.get_object(Bucket=bucket, Key="k", PartNumber=1, Range="bytes=0-1")


def test_completing_twice_gives_the_same_answer(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket)
    parts = send(s3, upload, b"x")
    assert complete(s3, upload, parts)["ETag"] == complete(s3, upload, parts)["ETag"]
    s3.put_object(Bucket=bucket, Key="k", Body=b"other")
    with refused("NoSuchUpload", 404):
        complete(s3, upload, parts)


def test_wrong_completions_are_refused_and_leave_the_upload(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket)
    one, two, three = send(s3, upload, FIVE, b"small", b"end")
    for code, parts in {
        "InvalidPart": [one, {**two, "ETag": '"0"'}],
        "InvalidPartOrder": [two, one],
        "EntityTooSmall": [one, two, three],
        "MalformedXML": [],
    }.items():
        with refused(code, 400):
            complete(s3, upload, parts)
    with refused("InvalidPart", 400):
        complete(s3, upload, [one, {**two, "PartNumber": 9}])
    with refused("InvalidRequest", 400):
        complete(s3, upload, [one, two], MpuObjectSize=1)
    complete(s3, upload, [one, three], MpuObjectSize=5 * MIB + 3)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == FIVE + b"end"


def test_a_part_sent_again_replaces_the_first(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket)
    send(s3, upload, b"old")
    complete(s3, upload, send(s3, upload, b"new"))
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"new"


def test_conditional_completion(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket)
    parts = send(s3, upload, b"x")
    s3.put_object(Bucket=bucket, Key="k", Body=b"first")
    with refused("PreconditionFailed", 412):
        complete(s3, upload, parts, IfNoneMatch="*")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"first"


def test_aborted_and_unknown_uploads(s3: Any, bucket: str, server: Any) -> None:
    upload = begin(s3, bucket)
    send(s3, upload, b"x")
    s3.abort_multipart_upload(**upload)
    for call in (
        lambda: s3.upload_part(**upload, PartNumber=1, Body=b""),
        lambda: s3.abort_multipart_upload(**upload),
        lambda: s3.list_parts(**upload),
        lambda: complete(s3, upload, [{"PartNumber": 1, "ETag": '"x"'}]),
    ):
        with refused("NoSuchUpload", 404):
            call()
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


@pytest.mark.parametrize("number", [0, 10_001])
def test_part_numbers_have_bounds(s3: Any, bucket: str, number: int) -> None:
    with refused("InvalidArgument", 400):
        s3.upload_part(**begin(s3, bucket), PartNumber=number, Body=b"")


def test_parts_are_copied(s3: Any, bucket: str) -> None:
    source = {"Bucket": bucket, "Key": "source"}
    s3.put_object(**source, Body=FIVE + b"tail")
    upload = begin(s3, bucket)
    parts = []
    for number, span in enumerate((f"bytes=0-{5 * MIB - 1}", f"bytes={5 * MIB}-{5 * MIB + 3}"), 1):
        copied = s3.upload_part_copy(**upload, PartNumber=number, CopySource=source, CopySourceRange=span)
        parts.append({"PartNumber": number, "ETag": copied["CopyPartResult"]["ETag"]})
    complete(s3, upload, parts)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == FIVE + b"tail"
    again = begin(s3, bucket)
    for span in ("bytes=0-99999999", "bytes=5-", "0-5", "bytes=5-1"):
        with refused("InvalidArgument", 400):
            s3.upload_part_copy(**again, PartNumber=1, CopySource=source, CopySourceRange=span)


def test_parts_are_listed_in_pages(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket)
    sent = send(s3, upload, b"1", b"22", b"333")
    pages = list(s3.get_paginator("list_parts").paginate(**upload, PaginationConfig={"PageSize": 2}))
    assert [[each["Size"] for each in page["Parts"]] for page in pages] == [[1, 2], [3]]
    assert [each["ETag"] for page in pages for each in page["Parts"]] == [each["ETag"] for each in sent]


def test_uploads_are_listed_in_pages(s3: Any, bucket: str) -> None:
    keys = ["a", "a", "b/1", "b/2", "b/2", "c"]
    for key in keys:
        s3.create_multipart_upload(Bucket=bucket, Key=key)
    paginator = s3.get_paginator("list_multipart_uploads")
    for size in (1, 2, 1000):
        pages = list(paginator.paginate(Bucket=bucket, PaginationConfig={"PageSize": size}))
        found = [(each["Key"], each["UploadId"]) for page in pages for each in page["Uploads"]]
        assert [key for key, _ in found] == keys
        assert len(set(found)) == len(keys)
        rolled = list(paginator.paginate(Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": size}))
        assert [each["Key"] for page in rolled for each in page.get("Uploads", [])] == ["a", "a", "c"]
        assert [each["Prefix"] for page in rolled for each in page.get("CommonPrefixes", [])] == ["b/"]


def test_no_bytes_stay_of_what_was_replaced(s3: Any, bucket: str, kept: Kept) -> None:
    before = kept.names()
    upload = begin(s3, bucket)
    parts = send(s3, upload, FIVE, b"end", b"unused")
    complete(s3, upload, parts[:2])
    wait_until(lambda: len(kept.names()) == len(before) + 2, 60, what="the bytes of a part stay that was left out")
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    wait_until(lambda: kept.names() == before, 60, what="the bytes of what was replaced stay")
    s3.delete_object(Bucket=bucket, Key="k")
    assert kept.names() == before
