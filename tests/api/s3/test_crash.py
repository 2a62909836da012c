"""The server is killed in the middle of what several writers do. What was acknowledged is there, byte for byte; what
was not is there whole or not at all; what was deleted stays away; and a sweep leaves no file that nothing names."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from botocore.exceptions import BotoCoreError, ClientError

from clary.objects.filesystem import FilesystemStore
from clary.server import processes
from clary.services.s3 import sweep
from clary.store.engine import SqliteDatabase
from clary.store.objects_schema import contents, objects, parts
from clary.store.schema import OBJECTS
from whole_server import WholeServer, wait_until, whole_server

BUCKET = "crash"
PART = 5 << 20
_LOST = (ClientError, BotoCoreError)


@pytest.fixture
def server() -> Iterator[WholeServer]:
    with whole_server() as made:
        made.client("s3").create_bucket(Bucket=BUCKET)
        yield made


class Writer(threading.Thread):
    """Writes and deletes a few keys of its own. `possible` holds, for each, what it may now be: one thing after an
    acknowledged request, more after those whose end nobody saw. None stands for nothing."""

    def __init__(self, server: WholeServer, number: int) -> None:
        super().__init__(name=f"writer-{number}")
        self._s3 = server.client("s3")
        self._random = random.Random(number)
        self._number = number
        self.possible: dict[str, list[bytes | None]] = {f"{number}-{each}": [None] for each in range(5)}
        self.acknowledged = 0
        self.lost = 0
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.is_set():
            key = self._random.choice(list(self.possible))
            step = self._random.random()
            if step < 0.2:
                self._change(key, None, lambda key: self._s3.delete_object(Bucket=BUCKET, Key=key))
            elif step < 0.25:
                data = self._random.randbytes(64) * (PART // 64) + b"the second part"
                self._change(key, data, lambda key, data=data: self._in_parts(key, data))
            else:
                data = self._random.randbytes(self._random.choice([0, 10, 1024, 300_000]))
                self._change(key, data, lambda key, data=data: self._s3.put_object(Bucket=BUCKET, Key=key, Body=data))

    def _change(self, key: str, new: bytes | None, ask: Callable[[str], Any]) -> None:
        self.possible[key].append(new)
        try:
            ask(key)
        except _LOST:
            self.lost += 1
        else:
            self.possible[key] = [new]
            self.acknowledged += 1

    def _in_parts(self, key: str, data: bytes) -> None:
        this = {"Bucket": BUCKET, "Key": key}
        this["UploadId"] = self._s3.create_multipart_upload(**this)["UploadId"]
        sent = [
            {"PartNumber": number, "ETag": self._s3.upload_part(**this, PartNumber=number, Body=piece)["ETag"]}
            for number, piece in enumerate((data[:PART], data[PART:]), 1)
        ]
        self._s3.complete_multipart_upload(**this, MultipartUpload={"Parts": sent})


def kill(server: WholeServer, name: str) -> None:
    """SIGKILL; returns when the server answers again."""
    victim = processes.recorded(server.settings.run / f"{name}.pid")
    assert victim is not None
    os.kill(victim.pid, signal.SIGKILL)
    wait_until(lambda: not victim.lives())
    if name == "supervisor":  # nothing of the server outlives it
        server.up()
    wait_until(lambda: processes.recorded(server.settings.run / "control.pid"))
    wait_until(lambda: _answers(server), what="the server did not come back")


def _answers(server: WholeServer) -> bool:
    try:
        server.client("s3").head_bucket(Bucket=BUCKET)
    except _LOST:
        return False
    return True


def write_through(server: WholeServer, count: int, victims: list[str]) -> list[Writer]:
    writers = [Writer(server, number) for number in range(count)]
    for writer in writers:
        writer.start()
    for victim in victims:
        before = sum(writer.acknowledged for writer in writers)
        wait_until(lambda before=before: sum(each.acknowledged for each in writers) > before + 8 * count, 60)  # type: ignore[misc]
        kill(server, victim)
    for writer in writers:
        writer.done.set()
    for writer in writers:
        writer.join(60)
    return writers


def read(s3: Any, key: str) -> bytes | None:
    try:
        return bytes(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    except s3.exceptions.NoSuchKey:
        return None


def check(server: WholeServer, writers: list[Writer]) -> None:
    s3 = server.client("s3")
    found = {key: read(s3, key) for writer in writers for key in writer.possible}
    for writer in writers:
        for key, possible in writer.possible.items():
            assert found[key] in possible, f"{key} is none of the {len(possible)} things that it may be"
    listed = [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
    assert listed == sorted(key for key, data in found.items() if data is not None)


def check_files(server: WholeServer) -> None:
    """With the server stopped: a sweep removes what crashes left, and nothing else."""
    database = SqliteDatabase(str(server.settings.data / "objects.db"), OBJECTS)
    try:
        sweep.sweep(FilesystemStore(server.settings.blobs), database, grace=-60)
        kept, shown = database.read(
            lambda connection: (
                set(connection.scalars(sa.select(contents.c.id))),
                set(connection.scalars(sa.select(objects.c.content).where(objects.c.content.is_not(None)))),
            )
        )
        named = database.read(
            lambda connection: {
                blob for table in (objects, parts) for blob in connection.scalars(sa.select(table.c.blob)) if blob
            }
        )
    finally:
        database.close()
    assert kept == shown
    assert {path.name for path in server.settings.blobs.rglob("*") if path.is_file()} == named


@pytest.mark.parametrize(
    "victims",
    [
        pytest.param(["control"], id="once"),
        pytest.param(["control", "supervisor", "edge-0", "control", "supervisor"], id="again", marks=pytest.mark.slow),
    ],
)
def test_what_was_acknowledged_outlives_a_kill(server: WholeServer, victims: list[str]) -> None:
    writers = write_through(server, 6, victims)
    assert all(writer.acknowledged for writer in writers)
    check(server, writers)
    server.down()
    check_files(server)
    server.up()
    check(server, writers)
