"""Uploads by HTML forms: boto3 presigns them, urllib3 posts them as a browser would."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit
from xml.etree import ElementTree

import pytest
import urllib3

from api.s3.faults import refused
from api.s3.kept import Kept
from whole_server import wait_until

ANYTHING = ["starts-with", "$key", ""]
DATA = b"what the browser sends"


@pytest.fixture
def post(server: SimpleNamespace) -> Callable[..., urllib3.BaseHTTPResponse]:
    """post(bucket, fields, data, filename) -> the response, redirections not followed."""

    def send(bucket: str, fields: dict[str, str], data: bytes = DATA, name: str = "f", **headers: str) -> Any:
        pool = urllib3.PoolManager()
        parts = [*fields.items(), ("file", (name, data))]
        options: dict[str, Any] = {"headers": headers, "redirect": False, "retries": False}
        return pool.request("POST", f"{server.url}/{bucket}", fields=parts, **options)

    return send


@pytest.fixture(params=["s3v4", "s3"])
def presign(aws: Callable[..., Any], bucket: str, request: pytest.FixtureRequest) -> Callable[..., dict[str, str]]:
    """presign(key, conditions, **fields) -> the fields of a form for `bucket`, by each version of the signature."""
    s3 = aws("s3", signature_version=request.param)

    def fields(key: str = "k", *conditions: Any, **given: str) -> dict[str, str]:
        allowed = [*conditions, *({name: text} for name, text in given.items())]
        made = s3.generate_presigned_post(bucket, key, given, allowed, ExpiresIn=60)
        return dict(made["fields"])

    return fields


def code(response: Any) -> str:
    found = ElementTree.fromstring(response.data)
    return f"{response.status} {found.findtext('Code')}: {found.findtext('Message')}"


def test_a_presigned_form(s3: Any, bucket: str, presign: Any, post: Any, server: SimpleNamespace) -> None:
    done = post(bucket, presign("a key/ü+%"))
    assert (done.status, done.data) == (204, b"")
    found = s3.get_object(Bucket=bucket, Key="a key/ü+%")
    assert (found["Body"].read(), found["ContentType"]) == (DATA, "binary/octet-stream")
    assert done.headers["ETag"] == found["ETag"]
    assert done.headers["Location"] == f"{server.url}/{bucket}/{quote('a key/ü+%')}"


def test_the_bucket_in_the_host_name(s3: Any, bucket: str, presign: Any, post: Any) -> None:
    done = post("", presign("a b"), Host=f"{bucket}.s3.localhost:7467")
    assert (done.status, done.headers["Location"]) == (204, f"http://{bucket}.s3.localhost:7467/a%20b")
    assert s3.head_object(Bucket=bucket, Key="a b")["ContentLength"] == len(DATA)


@pytest.mark.parametrize(("filename", "key"), [("cat.png", "user/cat.png"), ("C:\\my\\cat.png", "user/cat.png")])
def test_the_file_names_the_key(s3: Any, bucket: str, presign: Any, post: Any, filename: str, key: str) -> None:
    assert post(bucket, presign("user/${filename}"), name=filename).status == 204
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]


def test_a_large_file(s3: Any, bucket: str, presign: Any, post: Any) -> None:
    data = bytes(range(256)) * 20_000
    assert post(bucket, presign(), data).status == 204
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == data


@pytest.mark.parametrize(("asked", "status"), [("200", 200), ("201", 201), ("204", 204), ("404", 204)])
def test_the_form_says_which_status_it_wants(bucket: str, presign: Any, post: Any, asked: str, status: int) -> None:
    done = post(bucket, presign("a&b", success_action_status=asked))
    assert done.status == status
    if status == 201:
        told = {each.tag: each.text for each in ElementTree.fromstring(done.data)}
        assert told == {
            "Location": done.headers["Location"],
            "Bucket": bucket,
            "Key": "a&b",
            "ETag": done.headers["ETag"],
        }
    else:
        assert done.data == b""


def test_the_form_says_where_the_browser_is_to_go(bucket: str, presign: Any, post: Any) -> None:
    page = "https://example.com/done?step=2"
    done = post(bucket, presign("a b", success_action_redirect=page))
    assert done.status == 303
    parts = urlsplit(done.headers["Location"])
    assert (parts.hostname, parts.path) == ("example.com", "/done")
    assert parse_qs(parts.query) == {"step": ["2"], "bucket": [bucket], "key": ["a b"], "etag": [done.headers["ETag"]]}


@pytest.mark.parametrize(
    "page", ["/relative", "javascript:alert(1)", "http://[", "http://a/\r\nSet-Cookie: b=c", "x" * 99]
)
def test_what_is_no_address_is_no_redirection(bucket: str, presign: Any, post: Any, page: str) -> None:
    """AWS documents it: one that cannot be interpreted is as if the field were empty."""
    assert post(bucket, presign(success_action_redirect=page)).status == 204


def test_what_fields_say_is_stored(s3: Any, bucket: str, presign: Any, post: Any) -> None:
    tags = "<Tagging><TagSet><Tag><Key>a&amp;b</Key><Value>c=d</Value></Tag></TagSet></Tagging>"
    given = {
        "Content-Type": "text/plain",
        "Cache-Control": "no-cache",
        "x-amz-meta-From": "Grüße",
        "x-amz-storage-class": "STANDARD_IA",
        "x-amz-server-side-encryption": "AES256",
        "x-amz-checksum-sha256": base64.b64encode(hashlib.sha256(DATA).digest()).decode(),
        "acl": "private",
        "tagging": tags,
    }
    assert post(bucket, presign("k", **given)).status == 204
    found = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (found["ContentType"], found["CacheControl"]) == ("text/plain", "no-cache")
    assert (found["StorageClass"], found["ServerSideEncryption"]) == ("STANDARD_IA", "AES256")
    assert found["ChecksumSHA256"] == given["x-amz-checksum-sha256"]
    assert found["Metadata"] == {"from": "=?UTF-8?B?R3LDvMOfZQ==?="}
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "a&b", "Value": "c=d"}]


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("tagging", "not XML", "400 MalformedXML"),
        ("tagging", "<a/>", "400 MalformedXML"),
        ("tagging", "<Tagging/>", "400 MalformedXML"),
        ("tagging", "<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>", "400 MalformedXML"),
        ("tagging", "<Tagging><TagSet><a><Key>a</Key><Value>b</Value></a></TagSet></Tagging>", "400 MalformedXML"),
        ("x-amz-meta-a: 1\r\nSet-Cookie", "b=c", "400 InvalidArgument"),
        ("x-amz-meta-a: 1", "2", "400 InvalidArgument"),
        ("x-amz-meta-a b", "1", "400 InvalidArgument"),
        ("x-amz-meta-日", "1", "400 InvalidArgument"),
        ("acl", "public-read", "400 AccessControlListNotSupported"),
        ("x-amz-storage-class", "FakeClass", "400 InvalidStorageClass"),
        ("x-amz-checksum-sha256", "sailorjerry", "400 InvalidRequest"),
        ("x-amz-checksum-crc32", "AAAAAA==", "400 BadDigest"),
        ("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg==", "400 BadDigest"),
        ("x-amz-meta-a", "one\r\nX-Other: two", "400 InvalidArgument"),
        ("x-amz-meta-a", "x" * 3000, "400 MetadataTooLarge"),
        ("x-amz-website-redirect-location", "/elsewhere", "501 NotImplemented"),
        ("x-amz-nothing-known", "1", "501 NotImplemented"),
        ("x-amz-acl", "private", "400 InvalidArgument"),  # beside `acl`
    ],
)
def test_fields_that_cannot_be_had(
    s3: Any, bucket: str, presign: Any, post: Any, field: str, value: str, told: str
) -> None:
    given = {field: value} if field != "x-amz-acl" else {"acl": "private", field: value}
    assert code(post(bucket, presign("k", **given))).startswith(told)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_the_signature_holds_the_form_to_its_policy(s3: Any, bucket: str, presign: Any, post: Any) -> None:
    s3.create_bucket(Bucket=f"{bucket}-2")
    good = presign("user/${filename}", ["content-length-range", 1, 30])
    other = "403 AccessDenied: Invalid according to Policy: "
    assert code(post(f"{bucket}-2", good)).startswith(f'{other}Policy Condition failed: ["eq", "$bucket"')
    assert code(post(bucket, {**good, "key": "root"})).startswith(
        f'{other}Policy Condition failed: ["starts-with", "$key"'
    )
    assert code(post(bucket, {**good, "acl": "private"})) == f"{other}Extra input fields: acl"
    assert code(post(bucket, good, b"")).startswith("400 EntityTooSmall")
    assert code(post(bucket, good, b"x" * 31)).startswith("400 EntityTooLarge")
    assert code(post(bucket, good, b"x" * 3_000_000)).startswith("400 EntityTooLarge")
    assert code(post(bucket, {**good, "policy": good["policy"][:-4]})).startswith("403 SignatureDoesNotMatch")
    keyless = {name: value for name, value in good.items() if name != "key"}
    assert code(post(bucket, keyless)).startswith("403 AccessDenied: Invalid according to Policy: Policy Condition")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    assert post(bucket, good).status == 204


def test_a_form_needs_a_key(bucket: str, post: Any) -> None:
    assert code(post(bucket, {})).startswith("400 InvalidArgument: Bucket POST must contain a field named 'key'.")


def test_a_bucket_that_is_not_there(post: Any, presign: Any) -> None:
    assert code(post("nobody-has-this", {"key": "k"})).startswith("404 NoSuchBucket")


def test_nobody_posts_where_no_policy_lets_him(s3: Any, bucket: str, post: Any) -> None:
    assert code(post(bucket, {"key": "open/k"})) == "403 AccessDenied: Access Denied"
    allow(s3, bucket, {"Effect": "Allow", "Principal": "*", "Action": "s3:PutObject", "Resource": "open/*"})
    assert post(bucket, {"key": "open/${filename}"}, name="me").status == 204
    assert code(post(bucket, {"key": "k"})) == "403 AccessDenied: Access Denied"
    tags = {"tagging": "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"}
    assert code(post(bucket, {"key": "open/k", **tags})) == "403 AccessDenied: Access Denied"
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["open/me"]


def test_lists_of_access_let_everybody_post(aws: Any, s3: Any, bucket: str, post: Any) -> None:
    name = f"{bucket}-open"
    s3.create_bucket(Bucket=name, ObjectOwnership="ObjectWriter")
    s3.delete_public_access_block(Bucket=name)
    s3.put_bucket_acl(Bucket=name, ACL="public-read-write")
    assert post(name, {"key": "k", "acl": "public-read"}).status == 204
    assert aws("s3", key="").get_object(Bucket=name, Key="k")["Body"].read() == DATA


def test_policies_know_forms_from_other_ways(s3: Any, bucket: str, presign: Any, post: Any) -> None:
    fields = presign()
    version = "AWS4-HMAC-SHA256" if "x-amz-algorithm" in fields else "AWS"
    by_form = {"StringEquals": {"s3:authType": "POST", "s3:signatureversion": version}}
    statement = {"Principal": "*", "Action": "s3:PutObject", "Resource": "*"}
    allow(s3, bucket, {**statement, "Effect": "Deny", "Condition": by_form})
    assert code(post(bucket, fields)).startswith("403 AccessDenied")
    s3.put_object(Bucket=bucket, Key="k", Body=b"by header")


def allow(s3: Any, bucket: str, statement: dict[str, Any]) -> None:
    s3.delete_public_access_block(Bucket=bucket)
    statement["Resource"] = f"arn:aws:s3:::{bucket}/{statement['Resource']}"
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def test_versions_are_the_buckets(s3: Any, bucket: str, presign: Any, post: Any) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    done = post(bucket, presign())
    assert done.headers["x-amz-version-id"] == s3.head_object(Bucket=bucket, Key="k")["VersionId"]


def test_pages_of_other_origins_are_answered(s3: Any, bucket: str, presign: Any, post: Any) -> None:
    rule = {"AllowedMethods": ["POST"], "AllowedOrigins": ["https://example.com"]}
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    done = post(bucket, presign(), Origin="https://example.com")
    assert (done.status, done.headers["Access-Control-Allow-Origin"]) == (204, "https://example.com")


def test_nothing_but_a_form_is_posted_to_a_bucket(server: SimpleNamespace, bucket: str) -> None:
    answer = urllib3.request("POST", f"{server.url}/{bucket}", body=b"x", headers={"Content-Type": "text/plain"})
    assert code(answer).startswith("412 PreconditionFailed")
    for path in ("/", f"/{bucket}?acl"):
        answer = urllib3.request("POST", server.url + path, fields={"key": "k", "file": ("f", b"x")})
        assert code(answer).startswith("405 MethodNotAllowed"), path


def test_headers_of_the_request_say_nothing(s3: Any, bucket: str, presign: Any, post: Any) -> None:
    """A browser cannot send them, and no policy speaks of them."""
    assert post(bucket, presign(), **{"x-amz-meta-a": "b", "Cache-Control": "no-store"}).status == 204
    found = s3.head_object(Bucket=bucket, Key="k")
    assert (found["Metadata"], "CacheControl" in found) == ({}, False)


@pytest.mark.parametrize("keep", [0.2, 0.9, 0.999])
def test_a_form_that_breaks_off_stores_nothing(
    s3: Any, server: SimpleNamespace, bucket: str, presign: Any, kept: Kept, keep: float
) -> None:
    parts, before = urlsplit(server.url), kept.names()
    body, kind = urllib3.encode_multipart_formdata([*presign().items(), ("file", ("f", b"x" * 100_000))])
    head = f"POST /{bucket} HTTP/1.1\r\nHost: h\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        connection.sendall(head.encode() + body[: int(len(body) * keep)])
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(12) == b"", "what was cut short is no request, and has no answer"
    with refused("404", 404):
        s3.head_object(Bucket=bucket, Key="k")
    wait_until(lambda: kept.names() <= before, 60, what="something of it stays")
