"""A page of 1,000 keys among 1,000,000 against one among 10,000; 100,000 keys deleted through boto3's resource API.

python benchmarks/objects_many.py [--rounds N] [--keep]
"""

from __future__ import annotations

import functools
import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from measure import processes
from measure.load import Load
from measure.report import Bar, Report, arguments
from measure.rounds import Sample, Spread, take_turns
from measure.servers import Clary, clary
from measure.storage import BUCKET, head, storage_of
from sqlalchemy.engine import Connection

from clary.config import Settings
from clary.services.s3 import index
from clary.services.s3.index import Bucket, Entry
from clary.store import schema
from clary.store.engine import SqliteDatabase

SMALL, LARGE = 10_000, 1_000_000
FOLDERS = 100  # into which the keys are spread
DOOMED, SIZE = 100_000, 1024  # objects to delete, and their bytes
SECONDS = 2.0
_BATCH = 10_000
ABOUT = f"""Two servers, one with a bucket of {SMALL:,} keys and one of {LARGE:,} (in {FOLDERS} folders), are asked for
the same by presigned ListObjectsV2 over one connection, 1,000 keys a page unless said: the first page, one
from the middle of the keys, one of a folder, and the folders themselves (a delimiter). Then {DOOMED:,} further objects
of 1 KiB are deleted by `bucket.objects.filter(Prefix=...).delete()` of boto3's resource API, which lists 1,000 and
deletes 1,000 in turn, once. The keys are written into the index before the servers start."""
WHERE = """A page is read from where it begins, in the order of the table, and a folder is passed by a seek behind it,
so the number of keys does not matter."""


def keys(count: int) -> Callable[[Path], None]:
    """For `servers.clary`: a bucket with so many empty objects, and those to delete."""

    def prepare(home: Path) -> None:
        settings = Settings.load({}, home=home)
        settings.data.mkdir(mode=0o700, parents=True)
        database = SqliteDatabase(str(settings.data / "objects.db"), schema.OBJECTS)
        bucket = Bucket(BUCKET, settings.account, settings.region, time.time())
        database.write(lambda connection: index.add_bucket(connection, bucket))
        entries = _entries(count)
        while batch := list(itertools.islice(entries, _BATCH)):
            database.write(functools.partial(_enter, batch))
        database.close()

    return prepare


def _entries(count: int) -> Iterator[Entry]:
    empty, now = "d41d8cd98f00b204e9800998ecf8427e", time.time()
    for number in range(count):
        yield Entry(BUCKET, f"kept/{number % FOLDERS:02}/{number:07}".encode(), 0, empty, now)
    data = os.urandom(SIZE)
    for number in range(DOOMED if count == LARGE else 0):
        yield Entry(BUCKET, f"gone/{number:07}".encode(), SIZE, "0" * 32, now, data=data)


def _enter(batch: list[Entry], connection: Connection) -> None:
    for entry in batch:
        index.put(connection, entry)


class Pages:
    """What is asked of one server."""

    def __init__(self, server: Clary, count: int) -> None:
        self._storage = storage_of(server)
        middle = f"kept/{FOLDERS // 2:02}/"
        folder = count // FOLDERS
        self.forms = {
            "first page": self._form({"Prefix": "kept/"}, 1000),
            "from the middle": self._form({"Prefix": "kept/", "StartAfter": middle}, 1000),
            "a folder": self._form({"Prefix": middle, "MaxKeys": 100}, min(folder, 100)),
            "the folders": self._form({"Prefix": "kept/", "Delimiter": "/"}, FOLDERS),
        }

    def _form(self, given: dict[str, Any], expected: int) -> Callable[[], Sample]:
        given = {"Bucket": BUCKET, **given}
        found = self._storage.s3.list_objects_v2(**given)
        if found["KeyCount"] != expected:
            raise RuntimeError(f"{given} lists {found['KeyCount']} keys instead of {expected}")
        url = self._storage.s3.generate_presigned_url("list_objects_v2", Params=given)
        load = Load(self._storage.port, [head("GET", self._storage.port, "/" + url.split("/", 3)[3])])
        return lambda: self._loaded(load)

    def _loaded(self, load: Load) -> Sample:
        before = processes.cpu_seconds(self._storage.pids())
        figures = load.run(1, SECONDS)
        spent = processes.cpu_seconds(self._storage.pids()) - before
        return {"p50 us": figures["p50 us"], "CPU us": spent / (figures["req/s"] * SECONDS) * 1e6}


def deleted(server: Clary) -> float:
    """Seconds to delete all the doomed through the resource API."""
    import boto3

    given = server.keys()
    session = boto3.Session(given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"], region_name="us-east-1")
    bucket = session.resource("s3", endpoint_url=server.url).Bucket(BUCKET)
    begin = time.perf_counter()
    answers = bucket.objects.filter(Prefix="gone/").delete()
    seconds = time.perf_counter() - begin
    gone = sum(len(answer.get("Deleted", ())) for answer in answers)
    if gone != DOOMED or list(bucket.objects.filter(Prefix="gone/").limit(1)):
        raise RuntimeError(f"{gone} of {DOOMED} objects were deleted")
    return seconds


def main() -> None:
    options = arguments(ABOUT, rounds=5)
    with ExitStack() as stack:
        servers = {count: stack.enter_context(clary(keys(count))) for count in (SMALL, LARGE)}
        small, large = (Pages(servers[count], count).forms for count in (SMALL, LARGE))
        contenders = {}
        for name in small:
            contenders[f"{name}: {SMALL:,}"] = small[name]
            contenders[f"{name}: {LARGE:,}"] = large[name]
        figures = take_turns(contenders, options.rounds)
        once = {f"delete {DOOMED:,}": {"s": Spread.of([deleted(servers[LARGE])])}}
    report = Report("objects_many", "Many objects", ABOUT, options.rounds, {**figures, **once}, where=WHERE)
    for name in small:
        report.bars.append(Bar(name, report.ratio("p50 us", f"{name}: {LARGE:,}", f"{name}: {SMALL:,}"), 1.3))
    report.bars.append(Bar(f"delete {DOOMED:,} objects", once[f"delete {DOOMED:,}"]["s"].median, 60, "s"))
    report.finish(options.keep)


if __name__ == "__main__":
    main()
