"""Objects of 1 GB beside those of 256 MB: kept in the home, encrypted, and kept in another Clary.

python benchmarks/objects_gigabyte.py [--rounds N] [--keep]
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack

from measure.report import Bar, Report, arguments
from measure.rounds import Sample, take_turns
from measure.storage import BUCKET, Storage, clary_storage
from objects_large import PIECE, SIZE, Transfers, measured

from clary.agent.s3 import S3
from clary.contract.instance import Credentials

LARGE = 1_000_000_000
ABOUT = """One object over one connection, with presigned URLs, as in Large objects: of 256 MB, and of 1 GB; where every
object is encrypted (`CLARY_ENCRYPT_OBJECTS=1`); and where the bytes are in another store
([object data on another store](objects-elsewhere.md)), here a second Clary on the same two cores, so that each byte is
received, hashed and written twice. The server's CPU and memory are those of the first one alone. An agent reads past
it: it is told where, and asks the other store."""
WHERE = """Neither a put nor a get knows the size: what is done to a piece is done to every piece. What is encrypted
passes through the control plane, in frames of 64 KiB, both ways. What is kept elsewhere goes there in parts of 5 MiB,
whose SHA-256 (over https: MD5) is computed besides the MD5 of the whole; the second Clary computes both again, and its
CPU is not in the figures, though it takes the time. An agent's get costs the server one small request.

The rate of gets scatters by a factor of five in one run, of both sizes: the kernel sends the pages of a file that was
written a moment ago, while the disk still takes them; why single gets fall to 0.6 GB/s is open. The server's CPU for a
byte, which scatters less, is less for 1 GB than for 256 MB. A put that goes elsewhere holds two parts that are
under way, one that fills and one that is being cut off it."""


def direct(storage: Storage, size: int) -> Sample:
    """What an agent reads, as it does."""
    given = Credentials(*storage.keys, "", float("inf"))
    agent = S3(lambda: f"http://127.0.0.1:{storage.port}", "us-east-1", lambda _: given, lambda: True)

    def read() -> None:
        left = size
        with agent.read(BUCKET, "large") as reader:
            while piece := reader.read(PIECE):
                left -= len(piece)
        if left:
            raise RuntimeError(f"{left} bytes are missing")

    return measured(read, storage.pids(), size)


def elsewhere(stack: ExitStack) -> Storage:
    """A server whose objects are in another one."""
    other = stack.enter_context(clary_storage())
    access_key, secret_key = other.keys
    return stack.enter_context(
        clary_storage(
            objects_bucket=BUCKET,
            objects_endpoint=f"http://127.0.0.1:{other.port}",
            objects_access_key_id=access_key,
            objects_secret_access_key=secret_key,
        )
    )


def main() -> None:
    options = arguments(ABOUT, rounds=5)
    data = os.urandom(LARGE)
    with ExitStack() as stack:
        here = stack.enter_context(clary_storage())
        encrypted, there = stack.enter_context(clary_storage(encrypt_objects="1")), elsewhere(stack)
        small, large = Transfers(here, data[:SIZE], "small"), Transfers(here, data)
        sealed, remote = Transfers(encrypted, data), Transfers(there, data)
        contenders: dict[str, Callable[[], Sample]] = {
            "put 256 MB": small.put,
            "get 256 MB": small.get,
            "put 1 GB": large.put,
            "get 1 GB": large.get,
            "put 1 GB, encrypted": sealed.put,
            "get 1 GB, encrypted": sealed.get,
            "put 1 GB, kept elsewhere": remote.put,
            "get 1 GB, kept elsewhere": remote.get,
            "get 1 GB, kept elsewhere, by an agent": lambda: direct(there, LARGE),
        }
        figures = take_turns(contenders, options.rounds)
    report = Report("objects_gigabyte", "Objects of 1 GB", ABOUT, options.rounds, figures, where=WHERE)
    report.bars = bars(report)
    report.finish(options.keep)


def bars(report: Report) -> list[Bar]:
    figures, per_byte = report.figures, SIZE / LARGE
    cpu = report.ratio("server CPU ms", "get 1 GB", "get 256 MB") * per_byte
    return [
        Bar("put of 1 GB, of the rate of 256 MB", report.ratio("MB/s", "put 1 GB", "put 256 MB"), 0.9, least=True),
        Bar("get of 1 GB, of the rate of 256 MB", report.ratio("MB/s", "get 1 GB", "get 256 MB"), 0.9, least=True),
        Bar("CPU for a byte of a get of 1 GB, of 256 MB's", cpu, 1.1),
        *(
            Bar(f"memory that a {name} adds", figures[name]["grew MB"].median, 32, "MB")
            for name in figures
            if "grew MB" in figures[name] and "1 GB" in name
        ),
    ]


if __name__ == "__main__":
    main()
