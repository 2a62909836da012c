"""The server is killed in the middle of what several writers do. What was acknowledged is there, byte for byte; what
was not is there whole or not at all; what was deleted stays away; and a sweep leaves no file that nothing names."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from api.s3.writers import BUCKET, LOST, VERSIONED, Replacing, Versioning, Writer
from clary.objects.filesystem import FilesystemStore
from clary.server import processes
from clary.services.s3 import sweep
from clary.store.engine import SqliteDatabase
from clary.store.objects_schema import contents, objects, parts, versions
from clary.store.schema import OBJECTS
from whole_server import WholeServer, wait_until, whole_server


@pytest.fixture
def server() -> Iterator[WholeServer]:
    with whole_server() as made:
        s3 = made.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.create_bucket(Bucket=VERSIONED)
        s3.put_bucket_versioning(Bucket=VERSIONED, VersioningConfiguration={"Status": "Enabled"})
        yield made


def kill(server: WholeServer, name: str, s3: Any) -> None:
    """SIGKILL; returns when the server answers again."""
    victim = processes.recorded(server.settings.run / f"{name}.pid")
    assert victim is not None
    os.kill(victim.pid, signal.SIGKILL)
    wait_until(lambda: not victim.lives())
    if name == "supervisor":  # nothing of the server outlives it
        server.up()
    wait_until(lambda: processes.recorded(server.settings.run / "control.pid"))
    wait_until(lambda: _answers(s3), what="the server did not come back")


def _answers(s3: Any) -> bool:
    try:
        s3.head_bucket(Bucket=BUCKET)
    except LOST:
        return False
    return True


def write_through(server: WholeServer, writers: Sequence[Writer], victims: list[str]) -> None:
    s3, moments = server.client("s3"), random.Random(len(victims))
    for writer in writers:
        writer.start()
    for victim in victims:
        enough = acknowledged(writers) + moments.randrange(8 * len(writers))
        wait_until(lambda enough=enough: acknowledged(writers) > enough, 60)  # type: ignore[misc] # mypy does not see defaults
        kill(server, victim, s3)
    for writer in writers:
        writer.done.set()
    for writer in writers:
        writer.join(60)
        assert writer.failure is None, writer.failure


def acknowledged(writers: Sequence[Writer]) -> int:
    assert not any(writer.failure for writer in writers), [writer.failure for writer in writers]
    return sum(writer.acknowledged for writer in writers)


def check(server: WholeServer, writers: Sequence[Writer]) -> None:
    s3 = server.client("s3")
    for writer in writers:
        writer.check(s3)


def check_files(server: WholeServer) -> None:
    """With the server stopped: a sweep removes what crashes left, and nothing else."""
    database = SqliteDatabase(str(server.settings.data / "objects.db"), OBJECTS)
    try:
        sweep.sweep(FilesystemStore(server.settings.blobs), database, grace=-60)
        kept = set(database.read(lambda connection: connection.scalars(sa.select(contents.c.id)).all()))
        shown = _named(database, objects.c.content, versions.c.content)
        named = _named(database, objects.c.blob, versions.c.blob, parts.c.blob)
    finally:
        database.close()
    assert kept == shown
    assert {path.name for path in server.settings.blobs.rglob("*") if path.is_file()} == named


def _named(database: SqliteDatabase, *columns: sa.Column[Any]) -> set[Any]:
    """What these columns hold, of all rows in which they are not empty."""
    return {
        value
        for column in columns
        for value in database.read(lambda connection, column=column: connection.scalars(sa.select(column)).all())  # type: ignore[misc] # mypy does not see defaults
        if value
    }


@pytest.mark.parametrize(
    "victims",
    [
        pytest.param(["control"] * 4 + ["edge-0"], id="five"),
        pytest.param(
            (["control"] * 6 + ["edge-0", "supervisor"]) * 25,  # a new supervisor starts again at once
            id="two-hundred",
            marks=[pytest.mark.slow, pytest.mark.timeout(1500)],
        ),
    ],
)
def test_what_was_acknowledged_outlives_kills(server: WholeServer, victims: list[str]) -> None:
    writers = [kind(server, number) for number, kind in enumerate((Replacing, Replacing, Versioning, Versioning))]
    write_through(server, writers, victims)
    assert all(writer.acknowledged for writer in writers)
    print(f"{acknowledged(writers)} acknowledged, {sum(writer.lost for writer in writers)} lost")
    check(server, writers)
    server.down()
    check_files(server)
    server.up()
    check(server, writers)
