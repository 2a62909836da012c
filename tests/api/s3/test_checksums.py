"""Checksums as clients send them: in headers and trailers, checked, stored, given back."""

from __future__ import annotations

import base64
import hashlib
import os
import random
import zlib
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.s3.faults import refused
from api.s3.test_multipart import FIVE, begin, complete, send
from clary.services.s3 import crc

Aws = Callable[..., Any]
DATA = os.urandom(100_001)


def b64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def crc_of(data: bytes, width: int, polynomial: int) -> bytes:
    running = crc.Crc(width, polynomial)
    running.update(data)
    return running.digest()


def values(data: bytes) -> dict[str, str]:
    return {
        "CRC32": b64(zlib.crc32(data).to_bytes(4, "big")),
        "CRC32C": b64(crc_of(data, 32, crc.CRC32C)),
        "CRC64NVME": b64(crc_of(data, 64, crc.CRC64NVME)),
        "SHA1": b64(hashlib.sha1(data).digest()),
        "SHA256": b64(hashlib.sha256(data).digest()),
    }


ALGORITHMS = sorted(values(b""))


def test_published_check_values() -> None:
    assert crc_of(b"123456789", 32, crc.CRC32C).hex() == "e3069283"
    assert crc_of(b"123456789", 64, crc.CRC64NVME).hex() == "ae8b14860a799888"


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=4))
def test_crcs_do_not_depend_on_how_the_data_is_cut(data: bytes, cuts: list[int]) -> None:
    running = crc.Crc(32, crc.CRC32)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in pairwise(edges):
        running.update(data[start:end])
    assert running.digest() == zlib.crc32(data).to_bytes(4, "big")


@pytest.mark.parametrize(("width", "polynomial"), [(32, crc.CRC32), (32, crc.CRC32C), (64, crc.CRC64NVME)])
@pytest.mark.parametrize("size", [8_191, 8_192, 8_200, 70_001])
def test_crcs_of_much_data_are_those_of_its_pieces(width: int, polynomial: int, size: int) -> None:
    """Much is taken in lanes, little is not."""
    data = random.Random(size).randbytes(size)
    running = crc.Crc(width, polynomial)
    for at in range(0, size, 999):
        running.update(data[at : at + 999])
    assert crc_of(data, width, polynomial) == running.digest()
    if polynomial == crc.CRC32:
        assert running.digest() == zlib.crc32(data).to_bytes(4, "big")


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_crcs_join(first: bytes, second: bytes) -> None:
    for width, polynomial in ((32, crc.CRC32), (32, crc.CRC32C), (64, crc.CRC64NVME)):
        one, two = crc_of(first, width, polynomial), crc_of(second, width, polynomial)
        assert crc.join(one, two, len(second), polynomial) == crc_of(first + second, width, polynomial)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_checksum_in_a_header(s3: Any, bucket: str, name: str) -> None:
    member, value = f"Checksum{name}", values(DATA)[name]
    assert s3.put_object(Bucket=bucket, Key="k", Body=DATA, **{member: value})[member] == value
    for got in (
        s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED"),
        s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED"),
    ):
        assert (got[member], got["ChecksumType"]) == (value, "FULL_OBJECT")
    assert member not in s3.head_object(Bucket=bucket, Key="k")
    assert member not in s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED", Range="bytes=0-1")
    with refused("BadDigest", 400):
        s3.put_object(Bucket=bucket, Key="bad", Body=DATA + b"x", **{member: value})
    with refused("404", 404):
        s3.head_object(Bucket=bucket, Key="bad")
    with refused("InvalidRequest", 400):
        s3.put_object(Bucket=bucket, Key="bad", Body=DATA, **{member: "AAA="})


@pytest.mark.parametrize("name", ["CRC32", "SHA1", "SHA256"])
def test_a_checksum_in_a_trailer(aws: Aws, bucket: str, name: str) -> None:
    """What boto3 does over https: it frames the body and lets the checksum follow. The framing must not be stored."""
    s3 = aws("s3")

    def frame(request: Any, **_: Any) -> None:
        data = request.data.read()
        size = f"{len(data):x}\r\n".encode()
        request.data = size + data + f"\r\n0\r\nx-amz-checksum-{name.lower()}:{values(DATA)[name]}\r\n\r\n".encode()
        for header in [each for each in request.headers if each.lower().startswith("x-amz-checksum-")]:
            del request.headers[header]
        request.headers["x-amz-trailer"] = f"x-amz-checksum-{name.lower()}"
        request.headers["x-amz-decoded-content-length"] = str(len(data))
        request.headers["Content-Encoding"] = "aws-chunked"
        request.context["checksum"] = {"request_algorithm": {"in": "trailer"}}  # so it is signed as one

    s3.meta.events.register("before-sign.s3.PutObject", frame)
    assert s3.put_object(Bucket=bucket, Key="k", Body=DATA, ChecksumAlgorithm=name)
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (got["Body"].read(), got[f"Checksum{name}"]) == (DATA, values(DATA)[name])
    assert "ContentEncoding" not in got
    with refused("BadDigest", 400):
        s3.put_object(Bucket=bucket, Key="k", Body=DATA + b"x", ChecksumAlgorithm=name)


def test_content_md5(s3: Any, bucket: str) -> None:
    good = b64(hashlib.md5(DATA).digest())
    s3.put_object(Bucket=bucket, Key="k", Body=DATA, ContentMD5=good)
    with refused("BadDigest", 400):
        s3.put_object(Bucket=bucket, Key="k", Body=DATA + b"x", ContentMD5=good)
    with refused("InvalidDigest", 400):
        s3.put_object(Bucket=bucket, Key="k", Body=DATA, ContentMD5="AAAA")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == DATA


def test_documents_are_checked_too(s3: Any, bucket: str) -> None:
    """boto3 sends a CRC32 with them; one that is of another document is refused, and nothing is deleted."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")

    def spoil(request: Any, **_: Any) -> None:
        assert "x-amz-checksum-crc32" in request.headers
        request.headers.replace_header("x-amz-checksum-crc32", "AAAAAA==")

    s3.meta.events.register("before-sign.s3.DeleteObjects", spoil)
    with refused("BadDigest", 400):
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k"}]})
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_two_checksums_are_one_too_many(s3: Any, bucket: str) -> None:
    sums = values(DATA)
    with refused("InvalidRequest", 400):
        s3.put_object(Bucket=bucket, Key="k", Body=DATA, ChecksumSHA1=sums["SHA1"], ChecksumSHA256=sums["SHA256"])


def test_a_copy_keeps_or_changes_the_algorithm(s3: Any, bucket: str) -> None:
    source = {"Bucket": bucket, "Key": "k"}
    s3.put_object(**source, Body=DATA, ChecksumAlgorithm="SHA256")
    kept = s3.copy_object(Bucket=bucket, Key="l", CopySource=source)["CopyObjectResult"]
    assert kept["ChecksumSHA256"] == values(DATA)["SHA256"]
    changed = s3.copy_object(Bucket=bucket, Key="l", CopySource=source, ChecksumAlgorithm="SHA1")["CopyObjectResult"]
    assert changed["ChecksumSHA1"] == values(DATA)["SHA1"]


def test_a_composite_checksum_is_that_of_the_parts(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket, ChecksumAlgorithm="SHA256")
    parts = send_with(s3, upload, "SHA256")
    without = [{name: each[name] for name in ("PartNumber", "ETag")} for each in parts]
    with refused("InvalidRequest", 400):
        complete(s3, upload, without)
    done = complete(s3, upload, parts)
    digests = hashlib.sha256(FIVE).digest() + hashlib.sha256(b"end").digest()
    assert done["ChecksumSHA256"] == b64(hashlib.sha256(digests).digest()) + "-2"
    assert done["ChecksumType"] == "COMPOSITE"
    seen = s3.get_object_attributes(
        Bucket=bucket, Key="k", ObjectAttributes=["ETag", "Checksum", "ObjectParts", "ObjectSize", "StorageClass"]
    )
    assert seen["Checksum"] == {"ChecksumSHA256": done["ChecksumSHA256"], "ChecksumType": "COMPOSITE"}
    assert [each["Size"] for each in seen["ObjectParts"]["Parts"]] == [len(FIVE), 3]
    assert (seen["ObjectSize"], f'"{seen["ETag"]}"', seen["StorageClass"]) == (len(FIVE) + 3, done["ETag"], "STANDARD")
    part = s3.get_object(Bucket=bucket, Key="k", PartNumber=2, ChecksumMode="ENABLED")
    assert part["ChecksumSHA256"] == b64(hashlib.sha256(b"end").digest())


def test_a_full_object_checksum_is_joined_from_the_parts(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    parts = send_with(s3, upload, "CRC32")
    whole = b64(zlib.crc32(FIVE + b"end").to_bytes(4, "big"))
    with refused("BadDigest", 400):
        complete(s3, upload, parts, ChecksumCRC32="AAAAAA==", ChecksumType="FULL_OBJECT")
    done = complete(s3, upload, parts, ChecksumCRC32=whole, ChecksumType="FULL_OBJECT")
    assert (done["ChecksumCRC32"], done["ChecksumType"]) == (whole, "FULL_OBJECT")


def test_parts_keep_to_the_algorithm_of_their_upload(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket, ChecksumAlgorithm="SHA256")
    with refused("InvalidRequest", 400):
        s3.upload_part(**upload, PartNumber=1, Body=b"x", ChecksumAlgorithm="SHA1")
    with refused("InvalidRequest", 400):
        begin(s3, bucket, ChecksumAlgorithm="SHA256", ChecksumType="FULL_OBJECT")


def test_uploads_of_a_default_client_need_no_checksums_to_complete(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket)
    parts = [{name: each[name] for name in ("PartNumber", "ETag")} for each in send(s3, upload, FIVE, b"end")]
    complete(s3, upload, parts)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == FIVE + b"end"


def send_with(s3: Any, upload: dict[str, Any], name: str) -> list[dict[str, Any]]:
    parts = []
    for number, data in enumerate((FIVE, b"end"), 1):
        answer = s3.upload_part(**upload, PartNumber=number, Body=data, ChecksumAlgorithm=name)
        parts.append({"PartNumber": number, **{each: answer[each] for each in ("ETag", f"Checksum{name}")}})
    return parts
