"""A backup of a whole server under writers, restored; and the reading of every object."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows import jobs
from whole_server import Done, WholeServer, wait_until

BUCKET = "kept"
KEYS = 12  # of each writer, written and deleted over and over


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WholeServer]:
    made = WholeServer(tmp_path / "home")
    made.up()
    yield made
    made.clary("down")


def body(writer: int, number: int) -> bytes:
    """Few bytes, or enough for a file of their own."""
    return f"{writer} {number} ".encode() * (10 if number % 2 else 4000)


class Writers:
    """Four of them, each with keys of its own: put, replaced and deleted until the end of the block."""

    def __init__(self, server: WholeServer) -> None:
        self._server = server
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(each,)) for each in range(4)]
        self.rounds = [0, 0, 0, 0]
        self.errors: list[BaseException] = []

    def _work(self, writer: int) -> None:
        s3 = self._server.client("s3")
        try:
            for number in itertools.count():
                if self._over.is_set():
                    return
                s3.put_object(Bucket=BUCKET, Key=f"{writer}/{number % KEYS}", Body=body(writer, number))
                if number % 3 == 0:
                    s3.delete_object(Bucket=BUCKET, Key=f"{writer}/{number % KEYS}")
                self.rounds[writer] = number
        except BaseException as error:  # the test's thread raises it
            self.errors.append(error)

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


def answer(done: Done) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def put_in_parts(s3: Any, key: str, data: bytes) -> None:
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
    half = 5 * 1024**2
    parts = []
    for number, part in enumerate((data[:half], data[half:]), 1):
        etag = s3.upload_part(Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=number, Body=part)["ETag"]
        parts.append({"PartNumber": number, "ETag": etag})
    s3.complete_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})


def test_a_backup_under_writers_restored(server: WholeServer, tmp_path: Path) -> None:
    s3, kms = server.client("s3"), server.client("kms")
    s3.create_bucket(Bucket=BUCKET)
    before = {f"before/{number}": os.urandom(100 if number % 2 else 40_000) for number in range(40)}
    for key, data in before.items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=data)
    put_in_parts(s3, "parts", before.setdefault("parts", os.urandom(6 * 1024**2)))
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    secret = kms.encrypt(KeyId=key, Plaintext=b"a secret")["CiphertextBlob"]
    job = jobs.start(server, rounds=1_000_000)
    wait_until(lambda: jobs.describe(server, job)["SecondaryStatus"] == "Training", 60)
    file = tmp_path / "all.tar"
    with Writers(server) as writers:
        wait_until(lambda: all(number > KEYS for number in writers.rounds) or writers.errors)
        taken = server.ask("backup", str(file))
    assert not writers.errors
    assert (taken["missing"], taken["root_key"], Path(taken["file"])) == ([], True, file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert not (server.home / "snapshot").exists()
    for each in s3.list_objects_v2(Bucket=BUCKET)["Contents"]:
        s3.delete_object(Bucket=BUCKET, Key=each["Key"])
    s3.delete_object(Bucket=job, Key="train/points.csv")
    wait_until(lambda: not _files(server), what="what was deleted during the backup is still there")
    access_key = server.keys()["AWS_ACCESS_KEY_ID"]
    server.down()

    second = WholeServer(tmp_path / "second")
    assert answer(second.clary("restore", str(file), "--json"))["home"] == str(second.home)
    second.up()
    try:
        assert second.keys()["AWS_ACCESS_KEY_ID"] == access_key
        s3 = second.client("s3")
        for name, data in before.items():
            assert s3.get_object(Bucket=BUCKET, Key=name)["Body"].read() == data
        for each in s3.list_objects_v2(Bucket=BUCKET)["Contents"]:
            found = s3.get_object(Bucket=BUCKET, Key=each["Key"])
            data = found["Body"].read()
            if each["Key"] != "parts":
                assert hashlib.md5(data).hexdigest() == found["ETag"].strip('"')
        lost = jobs.ended(second, job)
        assert (lost["TrainingJobStatus"], lost["FailureReason"][:19]) == ("Failed", "InternalServerError")
        assert second.client("kms").decrypt(CiphertextBlob=secret)["Plaintext"] == b"a secret"
        deep = second.ask("doctor", "--deep")
        assert (deep["objects"] > len(before), deep["faults"]) == (True, [])
    finally:
        second.down()


def test_what_a_backup_and_a_restore_refuse(server: WholeServer, tmp_path: Path) -> None:
    file = tmp_path / "all.tar"
    server.client("s3").create_bucket(Bucket=BUCKET)
    server.client("s3").put_object(Bucket=BUCKET, Key="key", Body=bytes(50_000))
    server.ask("backup", str(file))
    assert "exists already" in server.clary("backup", str(file)).stderr
    server.down()
    _check_names(Path(server.ask("backup", str(tmp_path))["file"]))
    assert "There is no folder" in server.clary("backup", str(tmp_path / "no" / "all.tar")).stderr
    assert "There is something in" in server.clary("restore", str(file)).stderr
    second = WholeServer(tmp_path / "second")
    assert "There is no home" in second.clary("backup", str(tmp_path / "b.tar")).stderr
    other = WholeServer(second.home, root_key="A" * 43 + "=")
    assert "another root key" in _no_home(other, file)
    assert "is a folder" in _no_home(second, tmp_path)
    assert "it is no backup of Clary" in _no_home(second, Path(__file__))
    cut = tmp_path / "cut.tar"
    cut.write_bytes(file.read_bytes()[:-20_000])
    assert "cannot be restored: it is cut off" in _no_home(second, cut)
    changed = bytearray(file.read_bytes())
    changed[changed.index(bytes(40_000)) + 20_000] = 1
    cut.write_bytes(changed)
    refusal = _no_home(second, cut)
    assert "the bytes of objects/" in refusal or "the bytes of data/" in refusal


def _check_names(file: Path) -> None:
    with tarfile.open(file) as tar:
        names = tar.getnames()
    assert (names[0], names[-1]) == ("clary-backup.json", "manifest")
    assert {"data/records.db", "data/objects.db", "data/logs.db", "secrets/root.key"} <= set(names)
    assert sum(name.startswith("objects/") for name in names) == 1


def _no_home(server: WholeServer, file: Path) -> str:
    done = server.clary("restore", str(file))
    assert done.returncode == 1 and not server.home.exists()
    return done.stderr


def test_what_is_not_whole_is_named(server: WholeServer, tmp_path: Path) -> None:
    s3 = server.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    put_in_parts(s3, "parts", bytes(6 * 1024**2))
    for name in ("missing", "damaged", "short", "whole"):
        s3.put_object(Bucket=BUCKET, Key=name, Body=name.encode() * 10_000)
    old = s3.put_object(Bucket=BUCKET, Key="old", Body=b"old " * 10_000)["VersionId"]
    s3.delete_object(Bucket=BUCKET, Key="old")
    assert server.ask("doctor", "--deep")["faults"] == []
    blobs = {path: path.read_bytes() for path in _files(server)}

    def holding(data: bytes) -> Path:
        return next(path for path, there in blobs.items() if there.startswith(data))

    holding(b"missing").unlink()
    part = next(path for path, there in blobs.items() if len(there) > 5 * 1024**2)
    for path in (holding(b"damaged"), holding(b"old"), part):
        _flip(path)
    os.truncate(holding(b"short"), 100)
    done = server.clary("doctor", "--deep", "--json")
    assert done.returncode == 1
    found = {each["key"]: each for each in json.loads(done.stdout)["faults"]}
    assert found["old"]["version"] == old
    assert {name: each["words"] for name, each in found.items()} == {
        "missing": "its bytes are missing",
        "damaged": "its bytes from 0 on are not what was written",
        "short": "the end of its file is not what was written",
        "old": "its bytes from 0 on are not what was written",
        "parts": "part 1: its bytes from 0 on are not what was written",
    }
    assert f"s3://{BUCKET}/damaged" in server.clary("doctor", "--deep").stdout
    done = server.clary("backup", str(tmp_path / "all.tar"), "--json")
    assert (done.returncode, len(json.loads(done.stdout)["missing"])) == (1, 5)


def _files(server: WholeServer) -> list[Path]:
    return [path for path in (server.home / "objects").rglob("*") if path.is_file()]


def _flip(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(1000)
        byte = file.read(1)[0]
        file.seek(1000)
        file.write(bytes([byte ^ 1]))
