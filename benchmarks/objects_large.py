"""Objects of 256 MB: put and get, beside moto_server (memory), nginx (files) and what the hashes alone take.

python benchmarks/objects_large.py [--rounds N] [--keep]
"""

from __future__ import annotations

import hashlib
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from measure import processes
from measure.report import Bar, Report, arguments
from measure.rounds import Sample, take_turns
from measure.storage import BUCKET, Storage, clary_storage, head, moto_storage, nginx_files

SIZE = 256_000_000
PIECE = 1 << 20
ABOUT = """One object of 256 MB over one connection, with presigned URLs: what comes back is compared before it is
measured, and the ETag of every put is its MD5. Clary answers a put when the bytes are on the disk and entered;
moto_server keeps them in memory. MD5 is the hash that S3's ETag asks for, over the same bytes in memory, on one core.
The client sends from memory and throws away what it receives; its own CPU time is apart. The objects are not
encrypted; AES-GCM is the rate of encrypting the same bytes in memory, which encryption at rest adds at least."""
WHERE = """A get: the control plane finds the object and names its file; the edge has the kernel send it. Neither
process reads a byte of what was verified, or written, within the last half a minute; the first get after that (*not
seen before*) has the edge read every block and compute its CRC32 before the kernel sends it. The rate of the others
was between 2.5 and 5.2 GB/s in different runs, nginx's steadier; why is open. A put: the edge writes what it receives
into a file that the control plane has named, and the control plane hashes the file's pages: of the server's CPU about
420 ms are MD5, in a thread of its own, 200 the edge's copies (from the socket, into the page cache), 80 reading the
pages for the hash, 100 their CRC32, 30 having the disk begin. MD5 has one core, and the client, the edge and the
reading share the other, so MD5 sets the pace. Before, two things held a put up: the bytes' second hop (frames to the
control plane), and, more than that, the deletion of the object that is replaced: this disk takes 1.4 ms to free a MiB,
350 ms of a put of 880, which a thread now does after the answer. The sync and the commit in the end take about 5 ms,
because the writing to the disk began long before. boto3's upload_file sends parts, several at once, and signs the
SHA-256 of each over HTTP; what it takes itself is most of it. AES-GCM alone runs at 4.8 times MD5's rate and 0.78 of
nginx's: encrypted, a put would compute a fifth more than its MD5, and a get, which the kernel could then no longer
send, could be at most 0.78 of nginx on one core."""


class Transfers:
    """Puts and gets of one object at a server; `peak` is how much the largest of its processes grew."""

    def __init__(self, storage: Storage, data: bytes, key: str = "large") -> None:
        self._storage = storage
        self._data = data
        self._key = key
        self._etag = hashlib.md5(data, usedforsecurity=False).hexdigest()
        self.put()
        if whole(storage.port, storage.target("get_object", key), len(data)) != data:
            raise RuntimeError("what came back is not what was put")

    def put(self) -> Sample:
        target = self._storage.target("put_object", self._key)
        return self._measured(lambda: send(self._storage.port, target, self._data, self._etag))

    def get(self) -> Sample:
        port, target = self._storage.port, self._storage.target("get_object", self._key)
        return self._measured(lambda: drain(port, target, len(self._data)))

    def get_unseen(self) -> Sample:
        """After a touch of the files: what is remembered of them holds no longer."""
        for blob in self._storage.blobs.glob("??/*"):
            os.utime(blob)
        time.sleep(0.1)  # a file that was changed just now is verified again and again
        return self.get()

    def _measured(self, transfer: Callable[[], None]) -> Sample:
        pids = self._storage.pids()
        before = processes.memory(pids)
        with peak(pids) as most:
            figures = measured(transfer, pids, len(self._data))
        return {**figures, "grew MB": max(most) - before}


def measured(transfer: Callable[[], None], pids: set[int], size: int = SIZE) -> dict[str, float]:
    server, client, begin = processes.cpu_seconds(pids), time.process_time(), time.perf_counter()
    transfer()
    took = time.perf_counter() - begin
    return {
        "MB/s": size / 1e6 / took,
        "server CPU ms": (processes.cpu_seconds(pids) - server) * 1e3,
        "client CPU ms": (time.process_time() - client) * 1e3,
    }


@contextmanager
def peak(pids: set[int]) -> Iterator[list[float]]:
    """The memory of the processes, looked at again and again meanwhile."""
    seen, over = [processes.memory(pids)], threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            seen.append(processes.memory(pids))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def send(port: int, target: str, data: bytes, etag: str) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head("PUT", port, target, len(data)))
        connection.sendall(data)
        answer = connection.recv(65536)
    if not answer.startswith(b"HTTP/1.1 200") or etag.encode() not in answer:
        raise RuntimeError(f"the put was answered {answer!r}")


def drain(port: int, target: str, size: int = SIZE) -> None:
    """Receives an answer of `size` bytes and keeps none of them."""
    with opened(port, target) as (connection, first):
        left, room = size - len(first), bytearray(PIECE)
        while left:
            count = connection.recv_into(room)
            if not count:
                raise RuntimeError(f"the answer ended {left} bytes early")
            left -= count


def whole(port: int, target: str, size: int = SIZE) -> bytes:
    with opened(port, target) as (connection, first):
        data = bytearray(first)
        while len(data) < size and (piece := connection.recv(PIECE)):
            data += piece
    return bytes(data)


@contextmanager
def opened(port: int, target: str) -> Iterator[tuple[socket.socket, bytes]]:
    """(connection, what came of the body with its head)."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head("GET", port, target))
        begun = b""
        while b"\r\n\r\n" not in begun:
            begun += connection.recv(65536)
        if not begun.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"the get was answered {begun!r}")
        yield connection, begun.partition(b"\r\n\r\n")[2]


@contextmanager
def static(data: bytes) -> Iterator[Callable[[], Sample]]:
    with nginx_files() as (folder, port, pids):
        (folder / "large").write_bytes(data)
        if whole(port, "/large") != data:
            raise RuntimeError("nginx gave something else")
        yield lambda: measured(lambda: drain(port, "/large"), pids())


def alone(data: bytes, work: Callable[[memoryview], Any]) -> Sample:
    """The rate of something that is done to the bytes in memory."""
    begin = time.perf_counter()
    for at in range(0, SIZE, PIECE):
        work(memoryview(data)[at : at + PIECE])
    return {"MB/s": SIZE / 1e6 / (time.perf_counter() - begin)}


class Boto3:
    """What people call: upload_file (in parts, several at once) and download_file."""

    def __init__(self, storage: Storage, data: bytes, folder: Path) -> None:
        self._storage = storage
        self._file = folder / "up"
        self._file.write_bytes(data)

    def up(self) -> Sample:
        s3 = self._storage.s3
        return measured(lambda: s3.upload_file(str(self._file), BUCKET, "parts"), self._storage.pids())

    def down(self) -> Sample:
        s3, place = self._storage.s3, str(self._file.with_name("down"))
        return measured(lambda: s3.download_file(BUCKET, "parts", place), self._storage.pids())


def main() -> None:
    options = arguments(ABOUT, rounds=5)
    data = os.urandom(SIZE)
    key, nonce = AESGCM(os.urandom(32)), os.urandom(12)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="clary-bench-")))
        storage = stack.enter_context(clary_storage())
        ours, theirs = Transfers(storage, data), Transfers(stack.enter_context(moto_storage()), data)
        boto3 = Boto3(storage, data, folder)
        boto3.up()
        contenders: dict[str, Callable[[], Sample]] = {
            "put: Clary": ours.put,
            "put: moto_server": theirs.put,
            "MD5 alone": lambda: alone(data, hashlib.md5(usedforsecurity=False).update),
            "AES-GCM alone": lambda: alone(data, lambda piece: key.encrypt(nonce, piece, None)),
            "get: Clary": ours.get,
            "get, not seen before: Clary": ours.get_unseen,
            "get: moto_server": theirs.get,
            "get: nginx": stack.enter_context(static(data)),
            "boto3 upload_file: Clary": boto3.up,
            "boto3 download_file: Clary": boto3.down,
        }
        figures = take_turns(contenders, options.rounds)
    report = Report("objects_large", "Large objects", ABOUT, options.rounds, figures, where=WHERE)
    report.bars = [
        Bar("put, of MD5's rate", report.ratio("MB/s", "put: Clary", "MD5 alone"), 0.6, least=True),
        Bar("get, of nginx", report.ratio("MB/s", "get: Clary", "get: nginx"), 0.7, least=True),
        Bar("memory that a put adds", figures["put: Clary"]["grew MB"].median, 32, "MB"),
        Bar("memory that a get adds", figures["get: Clary"]["grew MB"].median, 32, "MB"),
    ]
    report.finish(options.keep)


if __name__ == "__main__":
    main()
