"""Small objects, whose bytes are in the index: they behave as those in files do, and nothing of them stays behind."""

from __future__ import annotations

import os
from typing import Any

import pytest
import sqlalchemy as sa

from api.s3.faults import refused
from api.s3.kept import Kept
from clary.services.s3.writing import SMALL
from clary.store.objects_schema import contents
from whole_server import wait_until


def rows(server: Any) -> list[int]:
    """The numbers of the rows that hold bytes."""
    return list(
        server.platform.stores.objects.read(lambda connection: connection.scalars(sa.select(contents.c.id)).all())
    )


@pytest.mark.parametrize("size", [0, 1, SMALL - 1, SMALL, SMALL + 1])
def test_every_size_comes_back(s3: Any, bucket: str, size: int) -> None:
    body = os.urandom(size)
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    answer = s3.get_object(Bucket=bucket, Key="k")
    assert (answer["Body"].read(), answer["ContentLength"]) == (body, size)
    assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == size


@pytest.mark.parametrize(("size", "more_rows", "more_blobs"), [(0, 0, 0), (1, 1, 0), (SMALL, 1, 0), (SMALL + 1, 0, 1)])
def test_where_the_bytes_are(
    server: Any, s3: Any, bucket: str, kept: Kept, size: int, more_rows: int, more_blobs: int
) -> None:
    before = len(rows(server)), kept.names()
    s3.put_object(Bucket=bucket, Key="k", Body=bytes(size))
    assert (len(rows(server)), len(kept.names() - before[1])) == (before[0] + more_rows, more_blobs)


def test_a_part_of_it_comes_back(s3: Any, bucket: str) -> None:
    body = os.urandom(1000)
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    answer = s3.get_object(Bucket=bucket, Key="k", Range="bytes=10-19")
    assert (answer["Body"].read(), answer["ContentRange"]) == (body[10:20], "bytes 10-19/1000")


def test_nothing_stays_of_what_was_replaced_or_deleted(server: Any, s3: Any, bucket: str, kept: Kept) -> None:
    before = rows(server), kept.names()
    for size in (10, SMALL + 1, 20, 0, 30):
        s3.put_object(Bucket=bucket, Key="k", Body=bytes(size))
    assert len(rows(server)) == len(before[0]) + 1
    s3.delete_object(Bucket=bucket, Key="k")
    assert rows(server) == before[0]
    wait_until(lambda: kept.names() <= before[1], 60, what="the bytes of what was replaced stay")


def test_a_copy_has_bytes_of_its_own(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="from", Body=b"the bytes")
    s3.copy_object(Bucket=bucket, Key="to", CopySource=f"{bucket}/from")
    s3.delete_object(Bucket=bucket, Key="from")
    assert s3.get_object(Bucket=bucket, Key="to")["Body"].read() == b"the bytes"


def test_what_is_not_what_its_checksum_says_leaves_nothing(server: Any, s3: Any, bucket: str) -> None:
    before = rows(server)
    with refused("BadDigest", 400):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentMD5="A" * 22 + "==")
    assert rows(server) == before
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
