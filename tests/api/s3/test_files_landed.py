"""Large bodies of requests, which an edge writes to the files themselves: from clients that are slow, leave, lie or go
on, and while a process of the server goes away."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from botocore.config import Config

from clary.server import processes
from whole_server import WholeServer, wait_until, whole_server

BUCKET = "landed"
LARGE = os.urandom((9 << 20) + 7)
ETAG = hashlib.md5(LARGE, usedforsecurity=False).hexdigest().encode()


@pytest.fixture(scope="module")
def server() -> Iterator[WholeServer]:
    with whole_server() as made:
        made.client("s3").create_bucket(Bucket=BUCKET)
        yield made


def head(
    server: WholeServer, key: str, more: str = "", length: int = len(LARGE), bucket: str = BUCKET, **given: str
) -> bytes:
    """Of a put with a presigned URL."""
    url = server.client("s3").generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": key, **given})
    lines = f"Host: 127.0.0.1:{server.port}\r\nContent-Length: {length}\r\n{more}\r\n"
    return f"PUT /{url.split('/', 3)[3]} HTTP/1.1\r\n{lines}".encode()


def connected(server: WholeServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


def answer(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data and (piece := connection.recv(65536)):
        data += piece
    return data


def landing(server: WholeServer) -> list[str]:
    """The unfinished files that the edge has open."""
    edge = processes.recorded(server.settings.run / "edge-0.pid")
    assert edge is not None
    found = []
    for each in Path("/proc", str(edge.pid), "fd").iterdir():
        try:
            found.append(str(each.readlink()))
        except FileNotFoundError:
            continue
    return [each for each in found if str(server.settings.blobs / "incoming") in each]


def unfinished(server: WholeServer) -> list[str]:
    return [path.name for path in (server.settings.blobs / "incoming").iterdir()]


@contextmanager
def half_sent(server: WholeServer, key: str, more: str = "", **given: str) -> Iterator[socket.socket]:
    """A client of whose body the edge writes to a file, and that waits."""
    with connected(server) as connection:
        connection.sendall(head(server, key, more, **given) + LARGE[: 5 << 20])
        wait_until(lambda: landing(server), what="the edge does not write to the file")
        yield connection


def kept(server: WholeServer, key: str) -> bytes | None:
    s3 = server.client("s3")
    try:
        return bytes(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    except s3.exceptions.NoSuchKey:
        return None


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_what_is_put_comes_back(server: WholeServer, scheme: str, signed: bool) -> None:
    s3 = server.client("s3", https=scheme == "https", config=Config(s3={"payload_signing_enabled": signed}))
    assert s3.put_object(Bucket=BUCKET, Key="whole", Body=LARGE)["ETag"].strip('"').encode() == ETAG
    assert kept(server, "whole") == LARGE
    assert not unfinished(server)


def test_the_next_request_of_a_connection(server: WholeServer) -> None:
    """Sent together with the last of the body."""
    with half_sent(server, "first") as connection:
        connection.sendall(LARGE[5 << 20 :] + head(server, "second", "Connection: close\r\n", 3) + b"two")
        answers = b""
        while piece := connection.recv(65536):
            answers += piece
    assert answers.count(b"HTTP/1.1 200") == 2
    assert ETAG in answers
    assert (kept(server, "first"), kept(server, "second")) == (LARGE, b"two")


def test_a_client_that_stops_and_goes_on(server: WholeServer) -> None:
    with half_sent(server, "slow") as connection:
        for at in range(5 << 20, len(LARGE), 1 << 20):
            assert kept(server, "slow") is None
            connection.sendall(LARGE[at : at + (1 << 20)])
        assert ETAG in answer(connection)
    assert kept(server, "slow") == LARGE


def test_many_at_once(server: WholeServer) -> None:
    """More than an edge has threads to write with."""
    connections = [connected(server) for _ in range(12)]
    for number, connection in enumerate(connections):
        connection.sendall(head(server, f"many-{number}") + LARGE[: 4 << 20])
    for connection in reversed(connections):
        connection.sendall(LARGE[4 << 20 :])
        assert ETAG in answer(connection)
        connection.close()
    assert all(kept(server, f"many-{number}") == LARGE for number in range(12))
    assert not landing(server)


def test_a_client_that_leaves(server: WholeServer) -> None:
    with half_sent(server, "left"):
        pass
    wait_until(lambda: not landing(server), what="the edge keeps the file open")
    wait_until(lambda: not unfinished(server), what="the file stays")
    assert kept(server, "left") is None


def test_bytes_that_are_not_what_was_announced(server: WholeServer) -> None:
    md5 = "A" * 22 + "=="
    with half_sent(server, "wrong", f"Content-MD5: {md5}\r\n", ContentMD5=md5) as connection:
        connection.sendall(LARGE[5 << 20 :])
        assert b"400" in answer(connection).splitlines()[0]
    assert not unfinished(server)
    assert kept(server, "wrong") is None


def test_a_signature_over_other_bytes(server: WholeServer) -> None:
    """What boto3 signs over HTTP covers the SHA-256 of the body; the body is exchanged on its way."""
    s3 = server.client("s3", config=Config(s3={"payload_signing_enabled": True}))

    def forge(request: object, **_: object) -> None:
        request.body = LARGE[:-1] + bytes([LARGE[-1] ^ 1])  # type: ignore[attr-defined] # botocore has no types

    s3.meta.events.register("before-send.s3.PutObject", forge)
    with pytest.raises(s3.exceptions.ClientError, match=r"SHA256|BadDigest"):
        s3.put_object(Bucket=BUCKET, Key="forged", Body=LARGE)
    assert not unfinished(server)
    assert kept(server, "forged") is None


def test_the_bucket_goes_meanwhile(server: WholeServer) -> None:
    """Refused in the end; the connection serves the next request."""
    s3 = server.client("s3")
    s3.create_bucket(Bucket="going")
    with connected(server) as connection:
        connection.sendall(head(server, "x", bucket="going") + LARGE[: 5 << 20])
        wait_until(lambda: landing(server))
        s3.delete_bucket(Bucket="going")
        connection.sendall(LARGE[5 << 20 :])
        assert b"404" in answer(connection).splitlines()[0]
        connection.sendall(head(server, "after", length=5) + b"after")
        assert b"200" in answer(connection).splitlines()[0]
    wait_until(lambda: not unfinished(server))


@pytest.mark.parametrize("name", ["edge-0", "control"])
def test_a_process_that_is_killed_meanwhile(server: WholeServer, name: str) -> None:
    with half_sent(server, "killed") as connection:
        victim = processes.recorded(server.settings.run / f"{name}.pid")
        assert victim is not None
        os.kill(victim.pid, signal.SIGKILL)
        wait_until(lambda: not victim.lives(), what="it lives on")
        with pytest.raises(OSError, match=r"reset|roken pipe|closed"):
            connection.sendall(LARGE[5 << 20 :])
            first = answer(connection).splitlines()[:1]
            assert first in ([], [b"HTTP/1.1 503 Service Unavailable"])
            raise OSError("closed")  # an answer, or an orderly end, is as good
    for each in ("control", "edge-0"):
        wait_until(lambda each=each: processes.recorded(server.settings.run / f"{each}.pid"), what=f"no {each}")  # type: ignore[misc] # mypy does not see the default
    wait_until(lambda: not landing(server), what="the edge keeps the file open")
    assert kept(server, "killed") is None
    assert server.client("s3").put_object(Bucket=BUCKET, Key="again", Body=LARGE)
    assert kept(server, "again") == LARGE
