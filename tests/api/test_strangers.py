"""Clients without any proof that begin requests and do not end them: everybody else goes on being served."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from whole_server import WholeServer

_MANY = 60  # the control plane has 32 threads for requests
_FORM = b"Content-Type: multipart/form-data; boundary=B\r\n"
_FIELD = b'--B\r\nContent-Disposition: form-data; name="key"\r\n\r\nk\r\n'
_FILE = b'--B\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
_SIGNED = b"Authorization: AWS4-HMAC-SHA256 Credential=AKIANOBODY/20260101/us-east-1/s3/aws4_request\r\n"

STALLED = {
    "a form": b"POST /guarded HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n" + _FORM + b"\r\n--B\r\n",
    "a form's file": b"POST /guarded HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n"
    + (_FORM + b"\r\n" + _FIELD + _FILE + b"x" * 300_000),
    "a form to no bucket": b"POST /not-there HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n"
    + (_FORM + b"\r\n" + _FIELD + _FILE + b"x" * 300_000),
    "a form that is asked for": b"POST /guarded HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n"
    + (_FORM + b"\r\n"),
    "a form that claims a signature": b"POST /guarded HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n"
    + (_SIGNED + _FORM + b"\r\n--B\r\n"),
    "a query": b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\nAction=",
    "a long query": b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 900000\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\nAction=" + b"x" * 300_000,
    "a document": b"PUT /guarded?policy HTTP/1.1\r\nHost: h\r\nContent-Length: 900000\r\n\r\n" + b"x" * 300_000,
}


@pytest.fixture(scope="module")
def where(server: WholeServer) -> str:
    """The address of an object, signed."""
    s3: Any = server.client("s3")
    s3.create_bucket(Bucket="guarded")
    s3.put_object(Bucket="guarded", Key="a", Body=b"here")
    return str(s3.generate_presigned_url("get_object", {"Bucket": "guarded", "Key": "a"}))


@contextlib.contextmanager
def begun(server: WholeServer, data: bytes, count: int) -> Iterator[None]:
    with contextlib.ExitStack() as connections:
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
            connections.enter_context(connection).sendall(data)
        yield


@pytest.mark.parametrize("what", STALLED)
def test_signed_requests_are_answered_beside_those_that_stand_still(server: WholeServer, where: str, what: str) -> None:
    url = urlsplit(where)
    with begun(server, STALLED[what], _MANY):
        for _ in range(3):
            client = http.client.HTTPConnection(str(url.hostname), url.port, timeout=8)
            client.request("GET", f"{url.path}?{url.query}")
            assert client.getresponse().read() == b"here"
            client.close()
        began = time.monotonic()
        assert server.client("sts").get_caller_identity()["Account"]
        assert time.monotonic() - began < 8


def test_who_breaks_off_is_no_error_of_the_server(server: WholeServer, where: str) -> None:
    head = b"PUT /guarded/k HTTP/1.1\r\nHost: h\r\nContent-Length: 900000\r\n\r\n" + b"x" * 300_000
    for data in (*STALLED.values(), head):
        with begun(server, data, 1):
            pass
    assert server.client("s3").list_objects_v2(Bucket="guarded")["KeyCount"] == 1
    logs = "".join(each.read_text() for each in server.home.rglob("*.log"))
    assert "client went away" not in logs
