"""Bodies that stop before anybody can know whose they are cost the control plane nothing."""

from __future__ import annotations

import contextlib
import http.client
import json

import pytest

from clary.wire.messages import Request, Response

from .conftest import EdgeProcess, Plane, echo

_STALLED = 60  # the control plane of these tests has 8 threads
_FORM = b"Content-Type: multipart/form-data; boundary=B\r\n"
_S3 = b"Authorization: AWS4-HMAC-SHA256 Credential=A/2/r/s3/aws4_request\r\n"
_OTHER = b"Authorization: AWS4-HMAC-SHA256 Credential=A/2/r/sts/aws4_request\r\n"


@pytest.mark.parametrize(
    "request_",
    [
        b"POST /bucket HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n" + _FORM + b"\r\n--B\r\n",
        b"POST /bucket HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n" + _S3 + _FORM + b"\r\n--B\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\nAction=",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n" + _OTHER + b"\r\nAction=",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nActio\r\n",
        b"PUT /a/s3/aws4_request HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\nab",
    ],
)
def test_bodies_that_stand_still_are_waited_for_at_the_edge(edge: EdgeProcess, plane: Plane, request_: bytes) -> None:
    seen: list[str] = []

    def watch(request: Request) -> Response:
        seen.append(request.method)
        return echo(request)

    plane.application = watch
    with contextlib.ExitStack() as stalled:
        for _ in range(_STALLED):
            stalled.enter_context(edge.connect()).sendall(request_)
        client = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=10)
        client.request("GET", "/")
        assert client.getresponse().status == 200
        client.close()
        assert seen == ["GET"]


def test_a_body_in_pieces_goes_on_whole(edge: EdgeProcess, plane: Plane) -> None:
    whole = bytes(range(256)) * 4000  # more than is gathered
    for size in (5, 1000, len(whole)):
        with edge.connect() as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size)
            connection.sendall(whole[: size // 2])
            connection.sendall(whole[size // 2 : size])
            answer = b"".join(iter(lambda connection=connection: connection.recv(65536), b""))
        seen = json.loads(answer.partition(b"\r\n\r\n")[2])
        assert (seen["read"], seen["length"]) == (size, size)
        assert seen["body"] == whole[:size][:1000].decode("latin-1")


def test_a_proof_in_the_head_is_looked_at_before_the_body(edge: EdgeProcess, plane: Plane) -> None:
    plane.application = lambda _: Response(403)
    with edge.connect() as connection:
        connection.sendall(b"PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n" + _S3 + b"\r\nab")
        assert connection.recv(1000).startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize("value", ["a\r\nX-Other: b", "a\nb", "\u20ac"])
@pytest.mark.parametrize("size", [1, 3_000_000])
def test_a_head_that_cannot_be_sent_is_answered_500(edge: EdgeProcess, plane: Plane, value: str, size: int) -> None:
    plane.application = lambda _: Response(200, [("X-Kept", value)], b"x" * size)
    client = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=10)
    client.request("GET", "/")
    answer = client.getresponse()
    assert answer.status == 500
    assert b"InternalFailure" in answer.read()
    plane.application = echo
    client.request("GET", "/again")
    assert json.loads(client.getresponse().read())["target"] == "/again"
    client.close()
