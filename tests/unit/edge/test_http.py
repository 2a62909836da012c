"""HTTP/1.1 at the port: what goes through, byte-exact, in order; what is refused; what each side's end does."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from pathlib import Path

import pytest

from clary.wire.messages import Request, Response

from .conftest import EdgeProcess, Plane

# What claims its proof in its head: its body is not waited for.
S3_HEAD = b"PUT / HTTP/1.1\r\nHost: h\r\nAuthorization: AWS4-HMAC-SHA256 Credential=A/2/r/s3/aws4_request\r\n"


def raw(edge: EdgeProcess, data: bytes, half_close: bool = False) -> bytes:
    """Everything the edge answers until it closes."""
    with edge.connect() as connection:
        connection.sendall(data)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_a_request_goes_through_byte_exact(edge: EdgeProcess) -> None:
    target = "/a%2fb/..//%E2%82%AC?x=%20+&y"
    answer = raw(edge, f"GET {target} HTTP/1.1\r\nHost: h\r\nX-Mixed-Case:  v \r\nconnection: close\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    seen = json.loads(body)
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nContent-Length: %d" % len(body) in head
    assert b"\r\nConnection: close" in head
    assert (seen["target"], seen["scheme"], seen["peer"], seen["length"]) == (target, "http", "127.0.0.1", 0)
    assert seen["headers"] == [["Host", "h"], ["X-Mixed-Case", "v"], ["connection", "close"]]


def test_one_connection_serves_many_requests_and_body_framings(edge: EdgeProcess) -> None:
    client = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=20)
    client.connect()
    connected = client.sock
    for body in (b"", b"x", b"y" * 300_000, iter([b"a" * 10, b"b" * 70_000, b"c"])):
        client.request("PUT", "/k", body, encode_chunked=False)
        seen = json.loads(client.getresponse().read())
        assert seen["read"] == (len(body) if isinstance(body, bytes) else 70_011)
        assert client.sock is connected
    client.close()


def test_pipelined_requests_are_answered_in_order(edge: EdgeProcess) -> None:
    wanted = [f"/{number}" for number in range(50)]
    requests = [f"POST {each} HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc".encode() for each in wanted]
    answer = raw(edge, b"".join(requests), half_close=True)
    bodies = [json.loads(part.partition(b"\r\n\r\n")[2]) for part in answer.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    assert [each["target"] for each in bodies] == wanted
    assert {each["body"] for each in bodies} == {"abc"}


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +3\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3, 3\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: h\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: a\x00b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505),
        (b"BREW / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X: y\r\n" * 101 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"y" * 70_000, 431),
    ],
)
def test_what_could_be_read_two_ways_is_refused(edge: EdgeProcess, head: bytes, status: int) -> None:
    answer = raw(edge, head + b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"smuggled" not in answer
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("chunks", [b"3\nabc\r\n0\r\n\r\n", b"3\r\nabcd\r\n", b"-3\r\n", b"0x3\r\nabc\r\n", b"\r\n"])
def test_broken_chunks_are_refused(edge: EdgeProcess, chunks: bytes) -> None:
    answer = raw(edge, b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
    assert answer.startswith(b"HTTP/1.1 400 ")


def test_chunks_cut_anywhere_are_read_the_same(edge: EdgeProcess) -> None:
    head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    data = head + b"5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nT: x\r\n\r\n"
    with edge.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(data)):
            connection.sendall(data[at : at + 1])
        answer = connection.recv(65536)
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["body"] == "hello world"


def test_expect_is_answered_when_the_body_is_first_read(edge: EdgeProcess, plane: Plane) -> None:
    may_read = threading.Event()

    def late(request: Request) -> Response:
        may_read.wait(10)
        return Response(200, [], request.body.read())

    plane.application = late
    with edge.connect() as connection:
        connection.sendall(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        may_read.set()
        connection.settimeout(10)
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"abc")
        assert connection.recv(1000).endswith(b"\r\n\r\nabc")


def test_a_refusal_without_reading_costs_no_upload(edge: EdgeProcess, plane: Plane) -> None:
    plane.application = lambda _: Response(403, [], b"no")
    with edge.connect() as connection:
        connection.sendall(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3000000\r\nExpect: 100-continue\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert b"100 Continue" not in answer
    assert b"Connection: close" in answer


def test_an_early_answer_reaches_a_client_that_goes_on_sending(edge: EdgeProcess, plane: Plane) -> None:
    plane.application = lambda _: Response(403, [], b"no")
    client = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=20)
    client.request("PUT", "/", b"x" * 20_000_000)
    response = client.getresponse()
    assert (response.status, response.read()) == (403, b"no")


def test_a_small_unread_body_keeps_the_connection(edge: EdgeProcess, plane: Plane) -> None:
    plane.application = lambda _: Response(200, [], b"ok")
    client = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=20)
    client.connect()
    connected = client.sock
    for _ in range(3):
        client.request("PUT", "/", b"x" * 1000)
        assert client.getresponse().read() == b"ok"
        assert client.sock is connected


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_answers_without_a_body_leave_the_connection_in_step(
    edge: EdgeProcess, plane: Plane, method: str, status: int
) -> None:
    plane.application = lambda _: Response(status, [("Content-Length", "5")] if status != 204 else [], b"")
    client = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=20)
    client.connect()
    connected = client.sock
    for _ in range(2):
        client.request(method, "/")
        response = client.getresponse()
        assert (response.status, response.read()) == (status, b"")
        assert response.getheader("Content-Length") == ("5" if status != 204 else None)
        assert client.sock is connected


def test_pieces_go_out_chunked_or_to_their_declared_length(edge: EdgeProcess, plane: Plane) -> None:
    pieces = [b"a" * 100_000, b"b", b"c" * 300_000]
    for headers in ([], [("Content-Length", "400001")]):
        plane.application = lambda _, headers=headers: Response(200, headers, iter(pieces))
        client = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=20)
        client.request("GET", "/")
        response = client.getresponse()
        assert (response.getheader("Transfer-Encoding") is None) == bool(headers)
        assert response.read() == b"".join(pieces)
    answer = raw(edge, b"GET / HTTP/1.0\r\n\r\n")
    assert answer.endswith(b"\r\n\r\n" + b"".join(pieces))


def test_a_body_that_breaks_midway_does_not_look_whole(edge: EdgeProcess, plane: Plane) -> None:
    def broken() -> object:
        yield b"x" * 1000
        raise OSError("the disk is gone")

    plane.application = lambda _: Response(200, [], broken())  # type: ignore[arg-type]
    client = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=20)
    client.request("GET", "/")
    try:
        response = client.getresponse()
        response.read()
    except (http.client.HTTPException, ConnectionError):
        return
    assert response.status == 500  # nothing had left yet when it broke


def test_a_client_that_leaves_midway_is_reported(edge: EdgeProcess, plane: Plane) -> None:
    reported = threading.Event()

    def watch(request: Request) -> Response:
        try:
            request.body.read()
        except ConnectionError:
            reported.set()
            raise
        return Response(200)

    plane.application = watch
    with edge.connect() as connection:
        connection.sendall(S3_HEAD + b"Content-Length: 3000\r\n\r\nabc")
    assert reported.wait(10)


def test_silence_and_slow_heads_end(edge: EdgeProcess) -> None:
    with edge.connect() as silent, edge.connect() as slow:
        slow.sendall(b"GET / HTT")
        assert slow.recv(1000).startswith(b"HTTP/1.1 408 ")
        assert silent.recv(1000) == b""


@pytest.mark.parametrize("method", [b"PUT", b"GET"])
def test_memory_stays_flat_when_one_side_does_not_read(edge: EdgeProcess, plane: Plane, method: bytes) -> None:
    piece = b"x" * 262_144
    release = threading.Event()

    def slow_reader(request: Request) -> Response:
        request.body.read(1)
        release.wait(20)
        return Response(200, [], iter([piece] * 1000))

    plane.application = slow_reader
    with edge.connect() as connection:
        if method == b"GET":
            release.set()
            connection.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            connection.settimeout(1.0)
            threading.Event().wait(0.5)  # the time in which an unbounded buffer would fill
        else:
            connection.sendall(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 262144000\r\n\r\n")
            connection.settimeout(1.0)
            with pytest.raises(TimeoutError):
                for _ in range(1000):
                    connection.sendall(piece)
        with Path(f"/proc/{edge.process.pid}/status").open() as status:
            resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
        release.set()
    assert resident < 150_000  # kB
