"""S3 through the whole server, as strangers use it: every way to address, sign and send."""

from __future__ import annotations

import concurrent.futures
import hashlib
import http.client
import json
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import pytest
import urllib3
from boto3.s3.transfer import TransferConfig
from botocore import UNSIGNED
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from api.s3.conftest import ELSEWHERE
from api.s3.faults import refused
from other_stores import settings_of
from whole_server import WholeServer, whole_server

HOSTILE_KEYS = [
    "plain",
    "a//b",
    "/leading",
    "trailing/",
    "..",
    "../../etc/passwd",
    "./a/../b",
    "%2e%2e/%2f",
    "a b+c&d=e?f#g",
    "ü/日本/🙂",
    "\x01\x1f",
    "a\nb\r\nc",
    "quotes'\"<>&;",
    "\\back\\slash",
    "~tilde*(star)!",
    "?acl",
    "x" * 1024,
]


@pytest.fixture(scope="module", params=["home", ELSEWHERE])
def server(request: pytest.FixtureRequest) -> Iterator[WholeServer]:
    settings = settings_of(request.getfixturevalue("elsewhere")()) if request.param == "elsewhere" else {}
    with whole_server(**settings) as made:
        yield made


@pytest.fixture(params=["http", "https"])
def https(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "https")


@pytest.fixture
def s3(server: WholeServer, https: bool) -> Any:
    return server.client("s3", https=https)


@pytest.fixture
def bucket(server: WholeServer, request: pytest.FixtureRequest) -> str:
    name = "b" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16]
    server.client("s3").create_bucket(Bucket=name)
    return name


def test_client_and_resource_agree(server: WholeServer, s3: Any, https: bool, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"by the client", Metadata={"from": "client"})
    found = server.client("s3", kind="resource", https=https).Bucket(bucket)
    assert found.Object("a").get()["Body"].read() == b"by the client"
    found.put_object(Key="b", Body=b"by the resource")
    assert [(each.key, each.size) for each in found.objects.all()] == [("a", 13), ("b", 15)]
    found.objects.all().delete()
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_checksums_are_kept_and_checked(s3: Any, bucket: str, algorithm: str) -> None:
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"some bytes", ChecksumAlgorithm=algorithm)
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == b"some bytes"  # botocore compares
    assert got[f"Checksum{algorithm}"] == put[f"Checksum{algorithm}"]
    wrong = {f"Checksum{algorithm}": put[f"Checksum{algorithm}"]}
    with refused("BadDigest", 400):
        s3.put_object(Bucket=bucket, Key="other", Body=b"other bytes", **wrong)
    with refused("404", 404):
        s3.head_object(Bucket=bucket, Key="other")


def test_large_files_go_up_and_come_down_in_parts(s3: Any, bucket: str, tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    block = bytes(range(256)) * 4096
    with source.open("wb") as file:
        for number in range(64):
            file.write(number.to_bytes(4, "big") + block[4:])
    settings = TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=8 << 20)
    s3.upload_file(str(source), bucket, "large", Config=settings)
    assert s3.head_object(Bucket=bucket, Key="large")["ETag"].endswith('-8"')
    s3.download_file(bucket, "large", str(copy), Config=settings)
    assert copy.stat().st_size == 64 << 20
    with source.open("rb") as first, copy.open("rb") as second:
        assert hashlib.file_digest(first, "sha256").digest() == hashlib.file_digest(second, "sha256").digest()


def fetch(server: WholeServer, url: str, method: str = "GET", data: bytes | None = None) -> tuple[int, bytes]:
    """With nothing but the URL, as a browser would."""
    context = ssl.create_default_context(cafile=str(server.ca)) if url.startswith("https") else None
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(
            urllib.request.Request(url, data, {"Content-Type": ""} if data else {}, method=method)
        ) as done:
            return done.status, done.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.mark.parametrize("signature", [None, "s3v4"])
def test_presigned_urls(server: WholeServer, https: bool, bucket: str, signature: str | None) -> None:
    """Without a signature version boto3 presigns by version 2."""
    s3 = server.client("s3", https=https, config=Config(signature_version=signature))
    key = "a key/ü+%"
    names = {"Bucket": bucket, "Key": key}
    assert fetch(server, s3.generate_presigned_url("put_object", names), "PUT", b"presigned")[0] == 200
    url = s3.generate_presigned_url("get_object", names)
    assert ("X-Amz-Signature" in url) == (signature == "s3v4")
    assert fetch(server, url) == (200, b"presigned")
    assert fetch(server, url.replace(quote(key), "another"))[0] == 403
    assert fetch(server, url, "DELETE")[0] == 403


class Raw:
    """One connection on which a test writes bytes of its own."""

    def __init__(self, server: WholeServer) -> None:
        given = server.keys()
        self._credentials = Credentials(given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"])
        self._url = server.url
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)

    def head(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> None:
        """Sends the signed head of a request with `body`, not the body."""
        request = AWSRequest(method, self._url + path, headers=headers, data=body)
        S3SigV4Auth(self._credentials, "s3", "us-east-1").add_auth(request)
        self.connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in request.headers.items():
            if name.lower() not in ("host", "content-length"):
                self.connection.putheader(name, value.encode())
        self.connection.putheader("Content-Length", str(len(body)))
        self.connection.endheaders()

    def ask(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> http.client.HTTPResponse:
        self.head(method, path, headers, body)
        self.connection.send(body)
        response = self.connection.getresponse()
        response.body = response.read()  # type: ignore[attr-defined] # botocore keeps what a handler gives it
        return response


@pytest.fixture
def raw(server: WholeServer) -> Iterator[Raw]:
    made = Raw(server)
    yield made
    made.connection.close()


def test_a_body_is_asked_for_before_it_comes(raw: Raw, server: WholeServer, bucket: str) -> None:
    raw.head("PUT", f"/{bucket}/k", {"Expect": "100-continue"}, b"x" * 100_000)
    socket = raw.connection.sock
    assert socket.recv(200) == b"HTTP/1.1 100 Continue\r\n\r\n"
    socket.sendall(b"x" * 100_000)
    assert raw.connection.getresponse().status == 200
    assert server.client("s3").head_object(Bucket=bucket, Key="k")["ContentLength"] == 100_000


def test_what_is_refused_is_not_asked_for(raw: Raw) -> None:
    raw.head("PUT", "/no-such-bucket-here/k", {"Expect": "100-continue"}, b"x" * 100_000)
    assert raw.connection.sock.recv(12) == b"HTTP/1.1 404"


def test_metadata_beyond_ascii_comes_back_as_rfc_2047_has_it(raw: Raw, server: WholeServer, bucket: str) -> None:
    encoded = "=?UTF-8?B?R3LDvMOfZSDwn5mC?="
    sent = {"x-amz-meta-raw": "Grüße 🙂", "x-amz-meta-encoded": encoded, "x-amz-meta-evil": "=?UTF-8?Q?a=0D=0AX:_b?="}
    assert raw.ask("PUT", f"/{bucket}/k", sent, b"x").status == 200
    s3 = server.client("s3")
    expected = {"raw": encoded, "encoded": encoded, "evil": "=?UTF-8?Q?a=0D=0AX:_b?="}
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == expected
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "k"})
    assert s3.get_object(Bucket=bucket, Key="copy")["Metadata"] == expected


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("?max-keys=blah", b"InvalidArgument"),
        ("?list-type=2&max-keys=-1", b"InvalidArgument"),
        ("/k?partNumber=x", b"InvalidArgument"),
        ("/k?partNumber=0", b"InvalidArgument"),
        ("/k?uploadId=%00", b"NoSuchUpload"),
        ("%00", b"NoSuchBucket"),
    ],
)
def test_arguments_that_are_none(raw: Raw, bucket: str, path: str, code: bytes) -> None:
    raw.ask("PUT", f"/{bucket}/k", {}, b"x")
    answer = raw.ask("GET", f"/{bucket}{path}", {})
    assert code in answer.body  # type: ignore[attr-defined] # botocore keeps what a handler gives it
    assert answer.status in (400, 404)


def test_an_answer_that_leaves_the_body_unread_leaves_the_connection_usable(raw: Raw, bucket: str) -> None:
    assert raw.ask("PUT", "/no-such-bucket-here/k", {}, b"x" * 3_000_000).status == 404
    assert raw.ask("PUT", f"/{bucket}/k", {}, b"after").status == 200


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "code"),
    [
        ("POST", "", {"Content-Type": "multipart/form-data; boundary=x"}, 400, b"<Code>IncorrectNumberOfFiles"),
        ("PUT", "/k", {"x-amz-acl": "public-read"}, 400, b"<Code>AccessControlListNotSupported<"),
        ("PUT", "/k", {"x-amz-acl": "everybody"}, 400, b"<Code>InvalidArgument<"),
        ("PUT", "/k", {"If-None-Match": '"0"'}, 501, b"<Code>NotImplemented<"),
        ("PUT", "/k?partNumber=10001&uploadId=u", {}, 400, b"<Code>InvalidArgument<"),
        ("DELETE", "/k?acl", {}, 405, b"<Code>MethodNotAllowed<"),
        ("POST", "/k", {"Content-Type": "multipart/form-data; boundary=x"}, 405, b"<Code>MethodNotAllowed<"),
    ],
)
def test_what_is_not_built_or_not_allowed_says_so(
    raw: Raw, bucket: str, method: str, path: str, headers: dict[str, str], status: int, code: bytes
) -> None:
    answer = raw.ask(method, f"/{bucket}{path}", headers, b"--x--")
    assert (answer.status, code in answer.body) == (status, True)  # type: ignore[attr-defined] # botocore keeps what a handler gives it


@pytest.mark.parametrize("key", ["a\x00b", "\x01\x1f", "\x0b\x0c\ufffe"])
def test_an_error_that_quotes_what_xml_cannot_carry_is_read(server: WholeServer, bucket: str, key: str) -> None:
    with refused("NoSuchKey", 404) as caught:
        server.client("s3").get_object(Bucket=bucket, Key=key)
    assert caught.value.response["Error"]["Key"] == re.sub("[^ab]", "\ufffd", key)


@pytest.mark.parametrize("key", HOSTILE_KEYS, ids=lambda key: quote(key[:20], safe=""))
def test_hostile_keys(server: WholeServer, bucket: str, key: str) -> None:
    s3 = server.client("s3")
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    for operation in ("list_objects", "list_objects_v2"):
        assert [each["Key"] for each in getattr(s3, operation)(Bucket=bucket)["Contents"]] == [key]
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == key.encode()
    s3.delete_object(Bucket=bucket, Key=key)
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "copy"}]})
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_expected_bucket_owner(s3: Any, server: WholeServer, bucket: str) -> None:
    assert s3.put_object(Bucket=bucket, Key="k", Body=b"", ExpectedBucketOwner=server.settings.account)
    with refused("AccessDenied", 403):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", ExpectedBucketOwner="111111111111")
    with refused("403", 403):
        s3.head_bucket(Bucket=bucket, ExpectedBucketOwner="111111111111")


def test_the_anonymous_are_refused(server: WholeServer, https: bool, bucket: str) -> None:
    nobody = server.client("s3", https=https, config=Config(signature_version=UNSIGNED))
    for ask in (
        lambda: nobody.get_object(Bucket=bucket, Key="k"),
        lambda: nobody.put_object(Bucket=bucket, Key="k", Body=b"x"),
        lambda: nobody.list_objects_v2(Bucket=bucket),
    ):
        with refused("AccessDenied", 403):
            ask()
    assert fetch(server, f"{server.url}/{bucket}/k")[0] == 403


def test_only_one_of_many_creates(server: WholeServer, bucket: str) -> None:
    clients = [server.client("s3") for _ in range(8)]

    def create(number: int) -> int:
        try:
            answer = clients[number].put_object(Bucket=bucket, Key="k", Body=str(number), IfNoneMatch="*")
        except clients[number].exceptions.ClientError as error:
            answer = error.response
        return int(answer["ResponseMetadata"]["HTTPStatusCode"])

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(create, range(8)))
    assert sorted(statuses) == [200] + [412] * 7
    found = clients[0].get_object(Bucket=bucket, Key="k")
    assert found["Body"].read() == str(statuses.index(200)).encode()
    clients[0].put_object(Bucket=bucket, Key="k", Body=b"next", IfMatch=found["ETag"])
    with refused("PreconditionFailed", 412):
        clients[0].put_object(Bucket=bucket, Key="k", Body=b"late", IfMatch=found["ETag"])


_VIRTUAL_HOST = """
import boto3, json
seen = []
s3 = boto3.client("s3")
s3.meta.events.register("before-send.s3", lambda request, **_: seen.append(request.url.split("?")[0]))
s3.create_bucket(Bucket="virtual-host")
s3.put_object(Bucket="virtual-host", Key="a/ü", Body=b"x" * 100_000)
size = len(s3.get_object(Bucket="virtual-host", Key="a/ü")["Body"].read())
print(json.dumps([size, [each["Key"] for each in s3.list_objects_v2(Bucket="virtual-host")["Contents"]], seen]))
"""


def test_the_bucket_in_the_host_name_through_the_proxy(server: WholeServer, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(_VIRTUAL_HOST)
    python = Path(boto3.__file__).parents[4] / "bin" / "python"
    done = server.clary("run", "--", str(python), str(program))
    assert done.returncode == 0, done.stderr
    size, keys, seen = json.loads(done.stdout)
    assert (size, keys) == (100_000, ["a/ü"])
    assert seen[1:] == [
        "https://virtual-host.s3.amazonaws.com/a/%C3%BC",
        "https://virtual-host.s3.amazonaws.com/a/%C3%BC",
        "https://virtual-host.s3.amazonaws.com/",
    ]


def test_forms(server: WholeServer, s3: Any, https: bool, bucket: str) -> None:
    """A file of several of the edge's pieces, under each scheme; the form's end is the client's last word."""
    data = bytes(range(256)) * 20_000
    form = s3.generate_presigned_post(bucket, "by/${filename}", Conditions=[["content-length-range", 1, len(data)]])
    roots = {"ca_certs": str(server.ca)} if https else {}
    with urllib3.PoolManager(**roots) as pool:
        for size, status in ((len(data), 204), (0, 400), (len(data) + 1, 400)):
            sent = [*form["fields"].items(), ("file", ("a b.bin", (data + b"x")[:size]))]
            assert pool.request("POST", form["url"], fields=sent).status == status
    assert s3.get_object(Bucket=bucket, Key="by/a b.bin")["Body"].read() == data


def test_bytes_of_which_nobody_says_how_many(server: WholeServer, bucket: str) -> None:
    address = server.client("s3").generate_presigned_url("put_object", {"Bucket": bucket, "Key": "k"})
    kinds = {"PUT": "", "POST": "multipart/form-data; boundary=x"}
    for method, url in (("PUT", address), ("POST", f"{server.url}/{bucket}")):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request(method, url.removeprefix(server.url), iter([b"x"]), {"Content-Type": kinds[method]})
        answer = connection.getresponse()
        assert (answer.status, b"<Code>MissingContentLength<" in answer.read()) == (411, True)
        connection.close()
