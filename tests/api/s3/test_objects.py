"""Objects through boto3: bytes, keys, headers, ranges, conditions, copies, tags, deletion."""

from __future__ import annotations

import os
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote_plus

import pytest

from api.s3.faults import refused

Aws = Callable[..., Any]

KEYS = [
    "plain",
    "a/b/c",
    "a//b///",
    "/leading",
    "..",
    "../../etc/passwd",
    "./x/../y",
    "%2f%2F%00",
    "sp ace+plus",
    "\x01\x02\x1f\x7f",
    "line\nbreak\r",
    "Case",
    "case",
    "é",
    "e\u0301",
    "日本語/🙂",
    "endpoints/x/invocations",
    "&<>\"'?#;:@=,$!*()[]{}|\\^`~",
    "x" * 1024,
]


def test_hostile_keys_round_trip_exactly(s3: Any, bucket: str) -> None:
    for number, key in enumerate(KEYS):
        s3.put_object(Bucket=bucket, Key=key, Body=str(number).encode())
    for number, key in enumerate(KEYS):
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == str(number).encode()
    listed = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert listed == sorted(KEYS, key=str.encode)
    gone = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in KEYS if key.isprintable()]})
    assert len(gone["Deleted"]) == len([key for key in KEYS if key.isprintable()])
    for key in KEYS:
        s3.delete_object(Bucket=bucket, Key=key)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_a_key_that_is_too_long_is_refused(s3: Any, bucket: str) -> None:
    with refused("KeyTooLongError", 400):
        s3.put_object(Bucket=bucket, Key="é" * 513, Body=b"")


@pytest.mark.parametrize("size", [0, 1, 65_536, 3_000_001])
def test_bytes_come_back(s3: Any, bucket: str, size: int) -> None:
    data = os.urandom(size)
    put = s3.put_object(Bucket=bucket, Key="k", Body=data)
    got = s3.get_object(Bucket=bucket, Key="k")
    assert (got["Body"].read(), got["ContentLength"], got["ETag"]) == (data, size, put["ETag"])


def test_headers_and_metadata_come_back(s3: Any, bucket: str) -> None:
    until = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    given = {
        "CacheControl": "no-cache",
        "ContentDisposition": 'attachment; filename="x"',
        "ContentEncoding": "gzip",
        "ContentLanguage": "de",
        "ContentType": "text/csv",
        "Metadata": {"one": "1", "two-words": "a, b"},
        "StorageClass": "STANDARD_IA",
    }
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Expires=until, **given)
    for got in (s3.head_object(Bucket=bucket, Key="k"), s3.get_object(Bucket=bucket, Key="k")):
        assert {name: got[name] for name in given} == given
        assert got["ExpiresString"].endswith("03:04:05 GMT")
        assert got["AcceptRanges"] == "bytes"
    shown = s3.get_object(Bucket=bucket, Key="k", ResponseContentType="text/plain", ResponseCacheControl="private")
    assert (shown["ContentType"], shown["CacheControl"]) == ("text/plain", "private")


def test_the_default_content_type_is_s3s(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert s3.head_object(Bucket=bucket, Key="k")["ContentType"] == "binary/octet-stream"


def test_too_much_metadata_is_refused(s3: Any, bucket: str) -> None:
    with refused("MetadataTooLarge", 400):
        s3.put_object(Bucket=bucket, Key="k", Body=b"", Metadata={"a": "x" * 2048})


@pytest.mark.parametrize(
    ("header", "content", "shown"),
    [
        ("bytes=0-0", b"0", "bytes 0-0/10"),
        ("bytes=3-5", b"345", "bytes 3-5/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=-99", b"0123456789", "bytes 0-9/10"),
        ("bytes=5-99", b"56789", "bytes 5-9/10"),
        ("bytes=5-4", b"0123456789", None),
        ("lines=1-2", b"0123456789", None),
        ("bytes=0-1,3-4", b"0123456789", None),
    ],
)
def test_ranges(s3: Any, bucket: str, header: str, content: bytes, shown: str | None) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    got = s3.get_object(Bucket=bucket, Key="k", Range=header)
    assert (got["Body"].read(), got.get("ContentRange")) == (content, shown)
    assert got["ResponseMetadata"]["HTTPStatusCode"] == (206 if shown else 200)
    assert s3.head_object(Bucket=bucket, Key="k", Range=header)["ContentLength"] == len(content)


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-20", "bytes=-0"])
def test_ranges_behind_the_end(s3: Any, bucket: str, header: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    with refused("InvalidRange", 416) as caught:
        s3.get_object(Bucket=bucket, Key="k", Range=header)
    assert caught.value.response["Error"]["ActualObjectSize"] == "10"


def test_conditional_reads(s3: Any, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    now = datetime.now(UTC)
    day = timedelta(days=1)
    for fine in (
        {"IfMatch": etag},
        {"IfMatch": "*"},
        {"IfNoneMatch": '"other"'},
        {"IfModifiedSince": now - day},
        {"IfUnmodifiedSince": now + day},
        {"IfMatch": etag, "IfUnmodifiedSince": now - day},
        {"IfNoneMatch": '"other"', "IfModifiedSince": now + day},
    ):
        assert s3.get_object(Bucket=bucket, Key="k", **fine)["Body"].read() == b"x"
    for unchanged in ({"IfNoneMatch": etag}, {"IfNoneMatch": "*"}, {"IfModifiedSince": now + day}):
        with refused("304", 304) as caught:
            s3.get_object(Bucket=bucket, Key="k", **unchanged)
        assert caught.value.response["ResponseMetadata"]["HTTPHeaders"]["etag"] == etag
    for wrong in ({"IfMatch": '"other"'}, {"IfUnmodifiedSince": now - day}):
        with refused("PreconditionFailed", 412):
            s3.get_object(Bucket=bucket, Key="k", **wrong)


def test_conditional_writes(s3: Any, bucket: str) -> None:
    with refused("NoSuchKey", 404):
        s3.put_object(Bucket=bucket, Key="k", Body=b"0", IfMatch='"any"')
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*")["ETag"]
    with refused("PreconditionFailed", 412):
        s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*")
    with refused("PreconditionFailed", 412):
        s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfMatch='"other"')
    s3.put_object(Bucket=bucket, Key="k", Body=b"3", IfMatch=etag)
    with refused("PreconditionFailed", 412):
        s3.delete_object(Bucket=bucket, Key="k", IfMatch=etag)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"3"


def test_of_many_first_writers_one_wins(s3: Any, bucket: str) -> None:
    won: list[int] = []

    def write(number: int) -> None:
        try:
            s3.put_object(Bucket=bucket, Key="k", Body=str(number).encode(), IfNoneMatch="*")
            won.append(number)
        except s3.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == "PreconditionFailed"

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [s3.get_object(Bucket=bucket, Key="k")["Body"].read()] == [str(number).encode() for number in won]


def test_readers_see_the_old_or_the_new_never_a_mix(s3: Any, bucket: str) -> None:
    size, rounds = 200_000, 15
    s3.put_object(Bucket=bucket, Key="k", Body=bytes([0]) * size)
    done = threading.Event()

    def write() -> None:
        for number in range(1, rounds):
            s3.put_object(Bucket=bucket, Key="k", Body=bytes([number]) * size)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen: set[int] = set()
    while not done.is_set() or not seen:
        data = s3.get_object(Bucket=bucket, Key="k")["Body"].read()
        assert data == data[:1] * size
        seen.add(data[0])
    writer.join()
    assert seen


def test_a_slow_reader_keeps_what_it_opened(s3: Any, bucket: str) -> None:
    data = os.urandom(6_000_000)
    s3.put_object(Bucket=bucket, Key="k", Body=data)
    body = s3.get_object(Bucket=bucket, Key="k")["Body"]
    first = body.read(10)
    s3.put_object(Bucket=bucket, Key="k", Body=b"new")
    s3.delete_object(Bucket=bucket, Key="k")
    assert first + body.read() == data


def test_missing_keys(s3: Any, bucket: str) -> None:
    with refused("NoSuchKey", 404) as caught:
        s3.get_object(Bucket=bucket, Key="none")
    assert caught.value.response["Error"]["Key"] == "none"
    with refused("404", 404):
        s3.head_object(Bucket=bucket, Key="none")
    assert s3.delete_object(Bucket=bucket, Key="none")["ResponseMetadata"]["HTTPStatusCode"] == 204
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert s3.get_object(Bucket=bucket, Key="k", VersionId="null")["Body"].read() == b"x"
    with refused("InvalidArgument", 400):
        s3.get_object(Bucket=bucket, Key="k", VersionId="3sL4kqtJlcpXroDTDmJ")


def test_delete_objects(s3: Any, bucket: str) -> None:
    for key in "abc":
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    wanted = [{"Key": "a"}, {"Key": "none"}, {"Key": "b", "ETag": '"other"'}]
    result = s3.delete_objects(Bucket=bucket, Delete={"Objects": wanted})
    assert [each["Key"] for each in result["Deleted"]] == ["a", "none"]
    assert [(each["Key"], each["Code"]) for each in result["Errors"]] == [("b", "PreconditionFailed")]
    quiet = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "b"}], "Quiet": True})
    assert "Deleted" not in quiet
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["c"]
    with refused("MalformedXML", 400):
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": str(n)} for n in range(1001)]})


def test_copies(s3: Any, bucket: str) -> None:
    source = {"Bucket": bucket, "Key": "sp ace/é+%"}
    s3.put_object(**source, Body=b"x", Metadata={"a": "1"}, ContentType="text/csv", Tagging="t=1")
    s3.copy_object(Bucket=bucket, Key="same", CopySource=source)
    got = s3.get_object(Bucket=bucket, Key="same")
    assert (got["Body"].read(), got["Metadata"], got["ContentType"], got["TagCount"]) == (
        b"x",
        {"a": "1"},
        "text/csv",
        1,
    )
    s3.copy_object(
        Bucket=bucket,
        Key="other",
        CopySource=source,
        MetadataDirective="REPLACE",
        Metadata={"b": "2"},
        TaggingDirective="REPLACE",
        Tagging="",
    )
    got = s3.head_object(Bucket=bucket, Key="other")
    assert (got["Metadata"], got["ContentType"], got.get("TagCount")) == ({"b": "2"}, "binary/octet-stream", None)


def test_a_plus_in_a_copys_source_is_a_blank(s3: Any, bucket: str) -> None:
    """Clients written in Go encode as forms do."""
    key = "sp ace/é+%"
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    copy_by_header(s3, bucket, f"{bucket}/{quote_plus(key)}")
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == b"x"


def test_a_copys_source_is_utf_8(s3: Any, bucket: str) -> None:
    with refused("InvalidArgument", 400):
        copy_by_header(s3, bucket, f"{bucket}/%ff")


def copy_by_header(s3: Any, bucket: str, source: str) -> None:
    """`source` as it is; boto3 encodes it once more."""
    header = {"x-amz-copy-source": source}
    s3.meta.events.register("before-call.s3.CopyObject", lambda params, **_: params["headers"].update(header))
    s3.copy_object(Bucket=bucket, Key="copy", CopySource="of/another")


def test_copies_onto_themselves_have_to_change_something(s3: Any, bucket: str) -> None:
    source = {"Bucket": bucket, "Key": "k"}
    s3.put_object(**source, Body=b"x")
    with refused("InvalidRequest", 400):
        s3.copy_object(**source, CopySource=source)
    s3.copy_object(**source, CopySource=source, MetadataDirective="REPLACE", Metadata={"n": "1"})
    got = s3.get_object(**source)
    assert (got["Body"].read(), got["Metadata"]) == (b"x", {"n": "1"})


def test_conditional_copies(s3: Any, bucket: str) -> None:
    source = {"Bucket": bucket, "Key": "k"}
    etag = s3.put_object(**source, Body=b"x")["ETag"]
    s3.copy_object(Bucket=bucket, Key="l", CopySource=source, CopySourceIfMatch=etag, IfNoneMatch="*")
    for wrong in ({"CopySourceIfMatch": '"o"'}, {"CopySourceIfNoneMatch": etag}, {"IfNoneMatch": "*"}):
        with refused("PreconditionFailed", 412):
            s3.copy_object(Bucket=bucket, Key="l", CopySource=source, **wrong)
    with refused("NoSuchKey", 404):
        s3.copy_object(Bucket=bucket, Key="l", CopySource={"Bucket": bucket, "Key": "none"})


def test_object_tags(s3: Any, bucket: str) -> None:
    at = {"Bucket": bucket, "Key": "k"}
    s3.put_object(**at, Body=b"x", Tagging="a=1&b=two%20words")
    assert s3.get_object_tagging(**at)["TagSet"] == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "two words"}]
    s3.put_object_tagging(**at, Tagging={"TagSet": [{"Key": "c", "Value": "3"}]})
    assert s3.get_object_tagging(**at)["TagSet"] == [{"Key": "c", "Value": "3"}]
    s3.delete_object_tagging(**at)
    assert s3.get_object_tagging(**at)["TagSet"] == []
    with refused("BadRequest", 400):
        many = [{"Key": str(number), "Value": ""} for number in range(11)]
        s3.put_object_tagging(**at, Tagging={"TagSet": many})
    with refused("InvalidTag", 400):
        s3.put_object_tagging(**at, Tagging={"TagSet": [{"Key": "a", "Value": ""}] * 2})


def test_virtual_host_style_reaches_the_same_object(server: Any, s3: Any, bucket: str) -> None:
    """The path is refused without a signature, which shows that the bucket was taken from the host."""
    request = urllib.request.Request(f"{server.url}/k", headers={"Host": f"{bucket}.s3.amazonaws.com"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    assert b"<Code>AccessDenied</Code>" in caught.value.read()


def test_the_resource_api_uploads_and_downloads_files(aws: Aws, bucket: str, tmp_path: Any) -> None:
    data = os.urandom(9_000_000)  # above the threshold of s3transfer: a multipart upload
    (tmp_path / "up").write_bytes(data)
    there = aws("s3", kind="resource").Bucket(bucket)
    there.upload_file(str(tmp_path / "up"), "file", ExtraArgs={"Metadata": {"m": "1"}})
    there.download_file("file", str(tmp_path / "down"))
    assert (tmp_path / "down").read_bytes() == data
    assert there.Object("file").metadata == {"m": "1"}
    assert there.Object("file").e_tag.endswith('-2"')
    there.copy({"Bucket": bucket, "Key": "file"}, "copy")
    assert there.Object("copy").get()["Body"].read() == data
