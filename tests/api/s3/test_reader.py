"""The functions that the rest of the control plane uses, and what happens when the disk is full."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest

from api.s3.conftest import ALT, MAIN
from clary.errors import ServiceError
from clary.objects.filesystem import FilesystemStore
from clary.services.s3 import reader, writing


def test_what_is_put_inside_is_seen_outside_and_the_other_way_round(s3: Any, bucket: str, server: Any) -> None:
    reader.put_object(server.platform, MAIN, bucket, "in", b"from inside", "text/plain")
    got = s3.get_object(Bucket=bucket, Key="in")
    assert (got["Body"].read(), got["ContentType"]) == (b"from inside", "text/plain")
    put = s3.put_object(Bucket=bucket, Key="out", Body=b"from outside")
    size, etag, pieces = reader.open_object(server.platform, MAIN, bucket, "out")
    assert (size, f'"{etag}"', b"".join(pieces)) == (12, put["ETag"], b"from outside")


def test_errors_are_those_of_s3(bucket: str, server: Any) -> None:
    for account, name, code in ((MAIN, "not-there", "NoSuchBucket"), (ALT, bucket, "AccessDenied")):
        with pytest.raises(ServiceError) as caught:
            reader.put_object(server.platform, account, name, "k", b"")
        assert caught.value.code == code
    with pytest.raises(ServiceError) as caught:
        reader.open_object(server.platform, MAIN, bucket, "none")
    assert caught.value.code == "NoSuchKey"


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Any) -> None:
    """/dev/full stands for the disk: every write to it fails as on a full one."""
    store = FilesystemStore(tmp_path)
    writer = store.writer()
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, writer._descriptor)  # type: ignore[attr-defined]
    os.close(full)

    class Full:
        def writer(self) -> Any:
            return writer

    with pytest.raises(ServiceError) as caught:
        writing.store(Full(), iter([bytes(writing.SMALL + 1)]))  # type: ignore[arg-type]
    assert (caught.value.code, caught.value.status) == ("InsufficientStorage", 507)
    cause = caught.value.__cause__
    assert isinstance(cause, OSError)
    assert cause.errno == errno.ENOSPC
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
