"""Large bodies, which an edge sends from the files themselves: whole and in ranges, in parts, to clients that are slow,
leave, or read on while the object is replaced or goes away, or the control plane does."""

from __future__ import annotations

import hashlib
import itertools
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from clary.server import processes
from whole_server import WholeServer, wait_until, whole_server

BUCKET = "files"
PART = 5 << 20
LARGE = os.urandom(12 << 20)  # more than the sockets between server and client hold
STALLED = 40  # more than the control plane has threads


@pytest.fixture(scope="module")
def server() -> Iterator[WholeServer]:
    with whole_server() as made:
        s3 = made.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key="large", Body=LARGE)
        s3.put_object(Bucket=BUCKET, Key="small", Body=b"small")
        put_in_parts(s3, "parts", LARGE)
        yield made


def pieces(data: bytes) -> list[bytes]:
    return [data[at : at + PART] for at in range(0, len(data), PART)]


def put_in_parts(s3: Any, key: str, data: bytes, **given: Any) -> None:
    this = {"Bucket": BUCKET, "Key": key}
    this["UploadId"] = s3.create_multipart_upload(**this, **given)["UploadId"]
    sent = [
        {"PartNumber": number, "ETag": s3.upload_part(**this, PartNumber=number, Body=piece)["ETag"]}
        for number, piece in enumerate(pieces(data), 1)
    ]
    s3.complete_multipart_upload(**this, MultipartUpload={"Parts": sent})


def asked(server: WholeServer, key: str, more: str = "") -> bytes:
    """A request with a presigned URL."""
    given = {"Bucket": BUCKET, "Key": key}
    url = server.client("s3").generate_presigned_url("get_object", Params=given)
    return f"GET /{url.split('/', 3)[3]} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n{more}\r\n".encode()


@contextmanager
def reading(server: WholeServer, key: str) -> Iterator[tuple[socket.socket, bytes]]:
    """A client that has read the head and not much more: (connection, the beginning of the body)."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        connection.settimeout(30)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(asked(server, key))
        begun = b""
        while b"\r\n\r\n" not in begun:
            begun += connection.recv(4096)
        assert begun.startswith(b"HTTP/1.1 200")
        yield connection, begun.partition(b"\r\n\r\n")[2]


def rest(connection: socket.socket, begun: bytes, size: int) -> bytes:
    data = bytearray(begun)
    while len(data) < size and (piece := connection.recv(1 << 20)):
        data += piece
    return bytes(data)


def descriptors(server: WholeServer) -> list[str]:
    """The blobs that the edge has open."""
    edge = processes.recorded(server.settings.run / "edge-0.pid")
    assert edge is not None
    found = []
    for each in Path("/proc", str(edge.pid), "fd").iterdir():
        try:
            found.append(str(each.readlink()))
        except FileNotFoundError:
            continue
    return [each for each in found if str(server.settings.blobs) in each]


@pytest.mark.parametrize("key", ["large", "parts"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_whole_and_in_ranges(server: WholeServer, scheme: str, key: str) -> None:
    s3 = server.client("s3", https=scheme == "https")
    assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == LARGE
    for first, last in ((PART - 7, 2 * PART + 7), (0, 300_000), (len(LARGE) - 300_000, len(LARGE) - 1), (5, 9)):
        body = s3.get_object(Bucket=BUCKET, Key=key, Range=f"bytes={first}-{last}")["Body"].read()
        assert body == LARGE[first : last + 1]


@pytest.mark.parametrize("key", ["large", "parts"])
def test_the_next_request_of_a_connection(server: WholeServer, key: str) -> None:
    """Sent ahead, while the file is on its way: one answer ends where the next begins."""
    with reading(server, key) as (connection, begun):
        connection.sendall(asked(server, "small", "Connection: close\r\n"))
        answers = rest(connection, begun, 1 << 30)
    assert answers[: len(LARGE)] == LARGE
    assert answers[len(LARGE) :].startswith(b"HTTP/1.1 200")
    assert answers.endswith(b"\r\n\r\nsmall")


@pytest.mark.parametrize("parts", [1, 3])
def test_reading_on_after_a_delete(server: WholeServer, parts: int) -> None:
    s3 = server.client("s3")
    key = f"going-{parts}"
    s3.copy_object(Bucket=BUCKET, Key=key, CopySource=f"{BUCKET}/large")
    if parts > 1:
        this = {"Bucket": BUCKET, "Key": key}
        this["UploadId"] = s3.create_multipart_upload(**this)["UploadId"]
        done = []
        for number in range(1, parts + 1):
            span = f"bytes={(number - 1) * PART}-{min(number * PART, len(LARGE)) - 1}"
            source = {"CopySource": f"{BUCKET}/large", "CopySourceRange": span}
            answer = s3.upload_part_copy(**this, PartNumber=number, **source)
            done.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})
        s3.complete_multipart_upload(**this, MultipartUpload={"Parts": done})
    with reading(server, key) as (connection, begun):
        s3.delete_object(Bucket=BUCKET, Key=key)
        assert rest(connection, begun, len(LARGE)) == LARGE
    wait_until(lambda: not descriptors(server), what="the edge keeps deleted files open")


@pytest.mark.parametrize("key", ["large", "parts"])
def test_a_client_that_leaves(server: WholeServer, key: str) -> None:
    with reading(server, key):
        wait_until(lambda: descriptors(server))
    wait_until(lambda: not descriptors(server), what="the edge keeps the file of a client that left")
    assert server.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read() == LARGE


def test_clients_that_read_nothing_hold_nobody_up(server: WholeServer) -> None:
    with ExitStack() as stack:
        stalled = [stack.enter_context(reading(server, "large")) for _ in range(STALLED)]
        assert server.client("s3").get_object(Bucket=BUCKET, Key="small")["Body"].read() == b"small"
        assert server.client("s3").get_object(Bucket=BUCKET, Key="large")["Body"].read() == LARGE
        connection, begun = stalled[-1]
        assert rest(connection, begun, len(LARGE)) == LARGE


class Replacing(threading.Thread):
    """Puts one of several contents after the other, each known by its ETag and its metadata: two in one request, one in
    parts. Their lengths differ, so that a head of one with the bytes of another shows too."""

    def __init__(self, server: WholeServer, key: str, size: int) -> None:
        super().__init__(daemon=True)
        self._s3, self._key = server.client("s3"), key
        contents = [os.urandom(size + more) for more in (0, 1, 700)]
        hashes = [hashlib.md5(each, usedforsecurity=False) for each in contents]
        of_parts = [hashlib.md5(each, usedforsecurity=False).digest() for each in pieces(contents[-1])]
        parted = hashlib.md5(b"".join(of_parts), usedforsecurity=False).hexdigest()
        etags = [f'"{each.hexdigest()}"' for each in hashes[:-1]] + [f'"{parted}-{len(of_parts)}"']
        self.contents = dict(zip(etags, contents, strict=True))
        self.done = threading.Event()
        self._put(etags[0])

    def run(self) -> None:
        for etag in itertools.cycle(self.contents):
            if self.done.is_set():
                return
            self._put(etag)

    def _put(self, etag: str) -> None:
        given = {"Metadata": {"etag": etag.strip('"')}}
        if "-" in etag:
            put_in_parts(self._s3, self._key, self.contents[etag], **given)
        else:
            self._s3.put_object(Bucket=BUCKET, Key=self._key, Body=self.contents[etag], **given)


@pytest.mark.parametrize("size", [10, 300_000, 9 << 20])
def test_readers_see_one_content_never_a_mix(server: WholeServer, size: int) -> None:
    this = {"Bucket": BUCKET, "Key": f"replaced-{size}"}
    s3, writer = server.client("s3"), Replacing(server, this["Key"], size)
    writer.start()
    seen: list[str] = []
    while len(seen) < 15 or set(seen) != set(writer.contents):
        got = s3.get_object(**this)
        assert got["Body"].read() == writer.contents[got["ETag"]]
        end = s3.get_object(**this, Range=f"bytes={size // 2}-")
        assert end["Body"].read() == writer.contents[end["ETag"]][size // 2 :]
        head = s3.head_object(**this)
        assert head["ContentLength"] == len(writer.contents[head["ETag"]])
        for answer in (got, end, head):
            assert answer["Metadata"]["etag"] == answer["ETag"].strip('"')
            seen.append(answer["ETag"])
        assert writer.is_alive()
    writer.done.set()
    writer.join(30)


def kill_control_plane(server: WholeServer) -> None:
    victim = processes.recorded(server.settings.run / "control.pid")
    assert victim is not None
    os.kill(victim.pid, signal.SIGKILL)
    wait_until(lambda: not victim.lives())


def test_reading_on_without_a_control_plane(server: WholeServer) -> None:
    with reading(server, "large") as (connection, begun):
        kill_control_plane(server)
        assert rest(connection, begun, len(LARGE)) == LARGE


def test_parts_that_the_control_plane_no_longer_names_cut_the_client_off(server: WholeServer) -> None:
    """Half a body must not look whole."""
    with reading(server, "parts") as (connection, begun):
        kill_control_plane(server)
        with pytest.raises(ConnectionResetError):
            received = rest(connection, begun, len(LARGE))
            assert len(received) < len(LARGE)
            raise ConnectionResetError  # an orderly end before the declared length is as good
    wait_until(lambda: processes.recorded(server.settings.run / "control.pid"))
    wait_until(lambda: not descriptors(server))
