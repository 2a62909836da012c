"""Objects of 1 KiB: get and durable put, beside moto_server (memory), nginx (files) and the disk's own sync.

python benchmarks/objects_small.py [--rounds N] [--keep]
"""

from __future__ import annotations

import http.client
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from measure import processes
from measure.load import Load
from measure.report import Bar, Report, arguments
from measure.rounds import Sample, take_turns
from measure.storage import BUCKET, Storage, clary_storage, head, moto_storage, nginx_files

SIZE = 1024
COUNT = 1000  # different requests
KEYS = 250  # that are put, again and again
SECONDS = 2.0
ABOUT = """1,000 objects of 1 KiB, each asked for by a presigned URL of its own (Clary checks the signature, moto_server
does not), by wrk over 1 or 16 connections. Every body is compared before it is measured, and what was put is read back.
Clary answers a put when it is on the disk; moto_server keeps it in memory. The disk's own floor is one file written and
synced, renamed, its folder synced, and one commit of SQLite (WAL, `synchronous=FULL`), one after the other."""
WHERE = """A put is one commit: the bytes are a row of the index, no file has to be synced, and concurrent puts share
the commit. A get is one statement that joins the bucket, the object and its bytes. The rest is Python, most of it in
the control plane: a quarter signature and claim, a fifth the statement with what its columns are converted to, a tenth
routing, a twentieth each the authorisation, the answer's head and the frames either way. What an identity may do to
every object is decided once; dates, credentials and hosts that came before are not read again: a quarter of the CPU
that a get took in the control plane before that is gone. A request's frames are read in one call, and the transaction
around the statement is the driver's alone. At 16 connections the threads of the control plane take the interpreter's
lock from each other around system calls. What would go further: columns of JSON that are read when they are asked for,
and a query string that is taken apart once for routing, claim and signature."""


class Loads:
    """What is asked of a server: to give the objects it has, to take others."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._bodies = [os.urandom(SIZE) for _ in range(COUNT)]
        for number, body in enumerate(self._bodies):
            storage.s3.put_object(Bucket=BUCKET, Key=f"get/{number}", Body=body)
        port = storage.port
        gets = [storage.target("get_object", f"get/{number}") for number in range(COUNT)]
        check(port, gets, self._bodies)
        self._get = Load(port, [head("GET", port, target) for target in gets])
        puts = [storage.target("put_object", f"put/{number % KEYS}", number) for number in range(COUNT)]
        bodies = [self._bodies[number % KEYS] for number in range(COUNT)]
        pairs = zip(puts, bodies, strict=True)
        self._put = Load(port, [head("PUT", port, target, SIZE) + body for target, body in pairs])

    def get(self, connections: int) -> Sample:
        return loaded(self._get, connections, self._storage.pids())

    def put(self, connections: int) -> Sample:
        return loaded(self._put, connections, self._storage.pids())

    def check_puts(self) -> None:
        reads = [self._storage.target("get_object", f"put/{number}") for number in range(KEYS)]
        check(self._storage.port, reads, self._bodies[:KEYS])


def loaded(load: Load, connections: int, pids: set[int]) -> Sample:
    """The load's figures, with what a request cost the processes."""
    before = processes.cpu_seconds(pids)
    figures = load.run(connections, SECONDS)
    spent = processes.cpu_seconds(pids) - before
    return {**figures, "CPU us/req": spent / (figures["req/s"] * SECONDS) * 1e6}


def check(port: int, targets: Sequence[str], bodies: Sequence[bytes]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    for target, body in zip(targets, bodies, strict=True):
        connection.request("GET", target)
        answer = connection.getresponse()
        if answer.read() != body or answer.status != 200:
            raise RuntimeError(f"{target} is not what was put: {answer.status}")
    connection.close()


@contextmanager
def files() -> Iterator[Callable[[], Sample]]:
    """The same from files, by nginx."""
    with nginx_files() as (folder, port, pids):
        bodies = [os.urandom(SIZE) for _ in range(COUNT)]
        for number, body in enumerate(bodies):
            (folder / str(number)).write_bytes(body)
        targets = [f"/{number}" for number in range(COUNT)]
        check(port, targets, bodies)
        load = Load(port, [head("GET", port, target) for target in targets])
        yield lambda: loaded(load, 16, pids())


def disk() -> Sample:
    """The disk's own: write, sync, rename, sync the folder, commit."""
    times, body = [], os.urandom(SIZE)
    with tempfile.TemporaryDirectory(prefix="clary-bench-") as folder:
        database = sqlite3.connect(Path(folder, "index.db"), isolation_level=None)
        database.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE objects (key, value)")
        begin = now = time.perf_counter()
        while now < begin + SECONDS / 2:
            _one(Path(folder), f"{len(times)}", body, database)
            times.append(time.perf_counter() - now)
            now = time.perf_counter()
        database.close()
    return {"p50 us": statistics.median(times) * 1e6, "req/s": len(times) / (now - begin)}


def _one(folder: Path, name: str, body: bytes, database: sqlite3.Connection) -> None:
    file = os.open(folder / f"{name}.new", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    os.write(file, body)
    os.fsync(file)
    os.close(file)
    (folder / f"{name}.new").rename(folder / name)
    directory = os.open(folder, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)
    database.execute("BEGIN IMMEDIATE")
    database.execute("INSERT INTO objects VALUES (?, ?)", (name, body[:300]))
    database.execute("COMMIT")


def main() -> None:
    options = arguments(ABOUT, rounds=6)
    with ExitStack() as stack:
        ours = Loads(stack.enter_context(clary_storage()))
        theirs = Loads(stack.enter_context(moto_storage()))
        contenders: dict[str, Callable[[], Sample]] = {
            "get, 16: Clary": lambda: ours.get(16),
            "get, 16: moto_server": lambda: theirs.get(16),
            "get, 16: nginx": stack.enter_context(files()),
            "put, 16: Clary": lambda: ours.put(16),
            "put, 16: moto_server": lambda: theirs.put(16),
            "put, 1: Clary": lambda: ours.put(1),
            "put, 1: the disk": disk,
        }
        figures = take_turns(contenders, options.rounds)
        for store in (ours, theirs):
            store.check_puts()
    report = Report("objects_small", "Small objects", ABOUT, options.rounds, figures, where=WHERE)
    gets = report.ratio("req/s", "get, 16: Clary", "get, 16: moto_server")
    puts = report.ratio("req/s", "put, 16: Clary", "put, 16: moto_server")
    alone = report.ratio("p50 us", "put, 1: Clary", "put, 1: the disk")
    report.bars = [
        Bar("get at 16, of moto_server", gets, 6, least=True),
        Bar("durable put at 16, of moto_server", puts, 2, least=True),
        Bar("durable put at 1, of the disk's own", alone, 2),
    ]
    report.finish(options.keep)


if __name__ == "__main__":
    main()
