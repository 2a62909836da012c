"""A server that encrypts everything, as a whole: nothing that it writes anywhere holds an object's plaintext."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import IncompleteReadError, ResponseStreamingError

from clary.objects.encryption import FRAME
from whole_server import WholeServer, whole_server

MARK = b"never in the clear on any disk! "
LARGE = (MARK * ((9 << 20) // len(MARK) + 1))[: (9 << 20) + 7]


@pytest.fixture(scope="module")
def server() -> Iterator[WholeServer]:
    with whole_server(encrypt_objects="1") as made:
        made.client("s3").create_bucket(Bucket="everything")
        yield made


def put(server: WholeServer, key: str, body: bytes) -> set[Path]:
    """The files that are new with it in the object store."""
    before = set((server.home / "objects").rglob("*"))
    told = server.client("s3").put_object(Bucket="everything", Key=key, Body=body)
    assert told["ServerSideEncryption"] == "AES256"
    return set((server.home / "objects").rglob("*")) - before


def test_no_file_of_the_home_has_the_bytes(server: WholeServer) -> None:
    s3 = server.client("s3")
    for key, body in (("small", MARK * 3), ("large", LARGE)):
        put(server, key, body)
        assert s3.get_object(Bucket="everything", Key=key)["Body"].read() == body
    part = s3.get_object(Bucket="everything", Key="large", Range=f"bytes={3 * FRAME + 5}-{8 << 20}")
    assert part["Body"].read() == LARGE[3 * FRAME + 5 : (8 << 20) + 1]
    files = [path for path in server.home.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if MARK in path.read_bytes()] == []


def test_the_doctor_knows_how_long_the_files_are(server: WholeServer) -> None:
    s3 = server.client("s3")
    for key, way in (("own", {"ServerSideEncryption": "aws:kms"}), ("none", {}), ("few", {})):
        s3.put_object(Bucket="everything", Key=key, Body=MARK if key == "few" else b"", **way)
    (file,) = put(server, "cut", LARGE)
    assert server.clary("doctor", "--deep").returncode == 0
    os.truncate(file, 1000)
    done = server.clary("doctor", "--deep")
    assert done.returncode == 1
    assert "s3://everything/cut: the end of its file" in done.stdout
    s3.delete_object(Bucket="everything", Key="cut")


def test_damage_breaks_the_answer_off(server: WholeServer) -> None:
    (file,) = put(server, "damaged", LARGE)
    with file.open("r+b") as opened:
        opened.seek(-1000, 2)
        opened.write(b"damage")
    body, came = server.client("s3").get_object(Bucket="everything", Key="damaged")["Body"], b""
    with pytest.raises((ResponseStreamingError, IncompleteReadError)):
        while piece := body.read(FRAME):
            came += piece
    assert LARGE.startswith(came)
    assert len(came) < len(LARGE)
