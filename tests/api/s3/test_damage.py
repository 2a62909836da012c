"""Files that are not what was written, by any way that a file system has: never given out, by the control plane, by an
edge, over TLS or not, whole or in ranges; and told to whoever keeps the server."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError, ResponseStreamingError

from api.s3.damaging import flip
from clary.objects.blobs import BLOCK
from whole_server import WholeServer, wait_until, whole_server

BUCKET = "damage"
MIDDLE = 200_000  # through the control plane
LARGE = (3 << 20) + 17  # by an edge
REFUSED = (ClientError, HTTPClientError, IncompleteReadError, ResponseStreamingError)


class Server:
    """A running one, and clients of it that stay."""

    def __init__(self, whole: WholeServer) -> None:
        self.whole = whole
        self.s3 = {https: whole.client("s3", https=https) for https in (False, True)}
        self.s3[False].create_bucket(Bucket=BUCKET)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with whole_server() as made:
        yield Server(made)


def put(server: Server, key: str, body: bytes) -> Path:
    """Its file."""
    before = set(server.whole.settings.blobs.rglob("*"))
    server.s3[False].put_object(Bucket=BUCKET, Key=key, Body=body)
    (file,) = [path for path in set(server.whole.settings.blobs.rglob("*")) - before if path.is_file()]
    return file


def got(server: Server, key: str, https: bool = False, **given: Any) -> bytes:
    """What comes of an object, however far."""
    came = b""
    try:
        body = server.s3[https].get_object(Bucket=BUCKET, Key=key, **given)["Body"]
        while piece := body.read(1000):
            came += piece
    except REFUSED:
        return came
    raise AssertionError(f"{key} came whole: {len(came)} bytes")


def flip_behind(file: Path) -> None:
    """With the times that the file had: the change time cannot be set."""
    before = file.stat()
    flip(file, 70_000)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def swap_blocks(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[BLOCK : 2 * BLOCK] + data[:BLOCK] + data[2 * BLOCK :])


DAMAGES: dict[str, Callable[[Path], None]] = {
    "the first byte": lambda file: flip(file, 0),
    "a byte, behind the times": flip_behind,
    "a checksum": lambda file: flip(file, file.stat().st_size - 20),
    "the end": lambda file: flip(file, file.stat().st_size - 1),
    "cut by one": lambda file: os.truncate(file, file.stat().st_size - 1),
    "cut to a block": lambda file: os.truncate(file, BLOCK),
    "empty": lambda file: os.truncate(file, 0),
    "longer": lambda file: os.truncate(file, file.stat().st_size + 1),
    "swapped blocks": swap_blocks,
    "removed": Path.unlink,
}


@pytest.mark.parametrize("size", [MIDDLE, LARGE])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_never_given_out(server: Server, damage: str, size: int) -> None:
    """Also where the object was read, right, just before."""
    body = os.urandom(size)
    file = put(server, "k", body)
    assert server.s3[False].get_object(Bucket=BUCKET, Key="k")["Body"].read() == body
    DAMAGES[damage](file)
    for https in (False, True):
        came = got(server, "k", https)
        assert body.startswith(came)
        assert len(came) < size
    with pytest.raises(ClientError, match="InternalFailure"):
        server.s3[False].copy_object(Bucket=BUCKET, Key="copy", CopySource=f"{BUCKET}/k")
    server.s3[False].delete_object(Bucket=BUCKET, Key="k")


@pytest.mark.parametrize("size", [MIDDLE, LARGE])
def test_another_objects_file_is_not_taken_for_it(server: Server, size: int) -> None:
    bodies = {key: os.urandom(size) for key in ("one", "two")}
    one, two = (put(server, key, body) for key, body in bodies.items())
    aside = one.with_name("aside")
    one.rename(aside)
    two.rename(one)
    aside.rename(two)
    for key in bodies:
        assert got(server, key) == b""


@pytest.mark.parametrize("https", [False, True])
@pytest.mark.parametrize("size", [MIDDLE, LARGE])
def test_ranges_read_the_blocks_that_they_are_in(server: Server, size: int, https: bool) -> None:
    """Damage elsewhere is not met; a range in the damaged block is refused, be its own bytes right."""
    body = os.urandom(size)
    flip(put(server, "ranged", body), BLOCK + 5)
    s3 = server.s3[https]
    for first, last in ((0, BLOCK - 1), (2 * BLOCK, size - 1), (size - 1, size - 1)):
        answer = s3.get_object(Bucket=BUCKET, Key="ranged", Range=f"bytes={first}-{last}")
        assert answer["Body"].read() == body[first : last + 1]
    for first, last in ((BLOCK + 100, BLOCK + 100), (BLOCK - 1, size - 1), (0, size - 1)):
        came = got(server, "ranged", https, Range=f"bytes={first}-{last}")
        assert came in (b"", body[first:BLOCK])


def test_a_part(server: Server) -> None:
    s3, part = server.s3[False], os.urandom(5 << 20)
    this = {"Bucket": BUCKET, "Key": "parts"}
    this["UploadId"] = s3.create_multipart_upload(**this)["UploadId"]
    before, sent = set(server.whole.settings.blobs.rglob("*")), []
    for number in (1, 2):
        tag = s3.upload_part(**this, PartNumber=number, Body=part)["ETag"]
        sent.append({"PartNumber": number, "ETag": tag})
    s3.complete_multipart_upload(**this, MultipartUpload={"Parts": sent})
    for file in set(server.whole.settings.blobs.rglob("*")) - before:
        flip(file, 4 << 20)
    assert part.startswith(got(server, "parts"))
    assert s3.get_object(Bucket=BUCKET, Key="parts", Range="bytes=-1000")["Body"].read() == part[-1000:]


@pytest.mark.parametrize("size", [10, 16 * 1024])
def test_small_objects_in_the_index(server: Server, size: int) -> None:
    body = os.urandom(size)
    server.s3[False].put_object(Bucket=BUCKET, Key="small", Body=body)
    with closing(sqlite3.connect(server.whole.settings.data / "objects.db")) as database:
        database.execute("UPDATE contents SET data = ? WHERE data = ?", (body[:-1] + b"x", body))
        database.commit()
    assert got(server, "small") == b""
    assert got(server, "small", Range="bytes=0-4") == b""


def test_damage_is_told_and_mended(server: Server) -> None:
    """By the log, `clary doctor` and the deep check; a put of the object ends it."""
    bodies = {"told-middle": os.urandom(MIDDLE), "told-large": os.urandom(LARGE)}
    for key, body in bodies.items():
        flip(put(server, key, body), 100)
        assert got(server, key) == b""
        wait_until(lambda key=key: f"s3://{BUCKET}/{key}" in (server.whole.home / "damaged.jsonl").read_text())  # type: ignore[misc] # mypy does not see the default
        assert f"s3://{BUCKET}/{key} is damaged" in (server.whole.settings.logs / "control.log").read_text()
    done = server.whole.clary("doctor")
    assert done.returncode == 1
    assert "not given out" in done.stdout
    done = server.whole.clary("doctor", "--deep")
    assert done.returncode == 1
    assert all(f"s3://{BUCKET}/{key}: its bytes from 0 on" in done.stdout for key in bodies)
    s3 = server.whole.client("s3", kind="resource")
    s3.Bucket(BUCKET).objects.delete()
    for key, body in bodies.items():
        s3.Bucket(BUCKET).put_object(Key=key, Body=body)
        assert s3.Object(BUCKET, key).get()["Body"].read() == body
    assert server.whole.clary("doctor", "--deep").returncode == 0
    assert "not given out" not in server.whole.clary("doctor").stdout


def test_files_of_an_earlier_release_have_no_checksums(server: Server) -> None:
    """Read as they are; a copy has them."""
    bodies = {"old-middle": os.urandom(MIDDLE), "old-large": os.urandom(LARGE)}
    s3 = server.s3[False]
    for key, body in bodies.items():
        file = put(server, key, body)
        old = file.with_name(file.name[:-1])
        old.write_bytes(body)
        file.unlink()
        with closing(sqlite3.connect(server.whole.settings.data / "objects.db")) as database:
            database.execute("UPDATE objects SET blob = ? WHERE blob = ?", (old.name, file.name))
            database.commit()
        assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == body
        s3.copy_object(Bucket=BUCKET, Key=key, CopySource=f"{BUCKET}/{key}", MetadataDirective="REPLACE")
        assert not old.exists()
        assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == body


def test_a_copied_home_is_read_anew(server: Server) -> None:
    """Other inodes, other times: what is remembered of files does not fit, their checksums do."""
    body = os.urandom(LARGE)
    file = put(server, "moved", body)
    aside = file.with_name("aside")
    shutil.copyfile(file, aside)
    aside.rename(file)
    assert server.s3[False].get_object(Bucket=BUCKET, Key="moved")["Body"].read() == body
