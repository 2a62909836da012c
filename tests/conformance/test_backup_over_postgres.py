"""Backups of a whole server whose databases are in PostgreSQL, put back into files and into PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from api.ecr.conftest import token_of
from api.ecr.registry import Registry, digest
from databases import PostgresServer, fresh_urls
from whole_server import WholeServer, wait_until, whole_server

pytestmark = pytest.mark.slow
BUCKET = "kept"
IMAGE, LAYER = "kept/app", b"a layer" * 10_000


@pytest.fixture(scope="module")
def urls(postgres_server: PostgresServer) -> Iterator[Callable[[], str]]:
    with fresh_urls(postgres_server) as fresh:
        yield fresh


@pytest.fixture(scope="module")
def server(urls: Callable[[], str]) -> Iterator[WholeServer]:
    with whole_server(database_url=urls()) as made:
        made.client("s3").create_bucket(Bucket=BUCKET)
        yield made


class Writer:
    """One that puts two objects again and again until the end of the block, the second always after the first."""

    def __init__(self, server: WholeServer) -> None:
        self._s3, self._over = server.client("s3"), threading.Event()
        self._thread = threading.Thread(target=self._work)
        self.rounds = 0
        self.error: BaseException | None = None

    def _work(self) -> None:
        try:
            while not self._over.is_set():
                for key in ("first", "second"):
                    self._s3.put_object(Bucket=BUCKET, Key=key, Body=f"{self.rounds:09}".encode() * 4000)
                self.rounds += 1
        except BaseException as error:  # the test's thread raises it
            self.error = error

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


@contextlib.contextmanager
def restored(home: Path, file: Path, **settings: str) -> Iterator[WholeServer]:
    """A server on what a backup holds."""
    server = WholeServer(home, **settings)
    done = server.clary("restore", str(file))
    assert done.returncode == 0, done.stderr
    server.up()
    try:
        yield server
    finally:
        server.down()


def test_a_backup_under_a_writer_restored_both_ways(
    server: WholeServer, urls: Callable[[], str], tmp_path: Path
) -> None:
    s3, kms = server.client("s3"), server.client("kms")
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    bodies = {f"before/ü/{number}": os.urandom(100 if number % 2 else 40_000) for number in range(10)}
    for key, data in bodies.items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=data, Metadata={"name": "value"})
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    secret = kms.encrypt(KeyId=key, Plaintext=b"a secret")["CiphertextBlob"]
    server.client("ecr").create_repository(repositoryName=IMAGE)
    Registry(server.port, token_of(server.client("ecr"))).push(IMAGE, "v1", LAYER)
    with Writer(server) as writer:
        wait_until(lambda: writer.rounds > 2 or writer.error, 60, what="nothing is written")
        taken = server.ask("backup", str(tmp_path / "all.tar"))
    assert (writer.error, taken["missing"], taken["root_key"]) == (None, [], True)
    assert not (server.home / "snapshot").exists()
    assert server.ask("doctor", "--deep")["faults"] == []
    for name, settings in (("files", {}), ("postgres", {"database_url": urls()})):
        with restored(tmp_path / name, tmp_path / "all.tar", **settings) as again:
            assert bool(list(again.settings.data.glob("*.db"))) is not bool(settings)
            _check(again, bodies, secret)


def _check(server: WholeServer, bodies: dict[str, bytes], secret: bytes) -> None:
    s3 = server.client("s3")
    for key, data in bodies.items():
        found = s3.get_object(Bucket=BUCKET, Key=key)
        assert (found["Body"].read(), found["Metadata"]) == (data, {"name": "value"})
    first, second = (int(_body(s3, key)[:9]) for key in ("first", "second"))
    assert first in (second, second + 1)
    assert server.client("kms").decrypt(CiphertextBlob=secret)["Plaintext"] == b"a secret"
    registry = Registry(server.port, token_of(server.client("ecr")))
    assert registry.ask("GET", f"/v2/{IMAGE}/manifests/v1").status == 200
    assert registry.ask("GET", f"/v2/{IMAGE}/blobs/{digest(LAYER)}").body == LAYER
    server.client("ecr").create_repository(repositoryName=f"{IMAGE}-{server.home.name}")  # with a number of its own
    assert server.ask("doctor", "--deep")["faults"] == []
    s3.put_object(Bucket=BUCKET, Key="new", Body=b"few")
    assert _body(s3, "new") == b"few"


def _body(s3: Any, key: str) -> bytes:
    return bytes(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())


def test_what_is_refused(server: WholeServer, urls: Callable[[], str], tmp_path: Path) -> None:
    file = tmp_path / "all.tar"
    for url, words in (("", "Set CLARY_DATABASE_URL"), (urls(), "cannot be read")):
        done = server.clary("backup", str(file), CLARY_DATABASE_URL=url)
        assert (done.returncode, words in done.stderr) == (1, True), done.stderr
        assert list(tmp_path.iterdir()) == []
    server.ask("backup", str(file))
    again = WholeServer(tmp_path / "again", database_url=server.settings.database_url)
    done = again.clary("restore", str(file))
    assert (done.returncode, "make it anew" in done.stderr) == (1, True), done.stderr
    assert not again.home.exists()


def test_a_home_in_files_moves_to_postgres(urls: Callable[[], str], tmp_path: Path) -> None:
    """By a backup of it, taken while its server does not run."""
    data = os.urandom(40_000)
    with whole_server() as server:
        server.client("s3").create_bucket(Bucket=BUCKET)
        server.client("s3").put_object(Bucket=BUCKET, Key="k", Body=data)
        access_key = server.keys()["AWS_ACCESS_KEY_ID"]
        server.down()
        server.ask("backup", str(tmp_path / "all.tar"))
    with restored(tmp_path / "moved", tmp_path / "all.tar", database_url=urls()) as moved:
        assert moved.keys()["AWS_ACCESS_KEY_ID"] == access_key
        assert _body(moved.client("s3"), "k") == data
        moved.down()
        assert moved.ask("backup", str(tmp_path / "again.tar"))["missing"] == []
