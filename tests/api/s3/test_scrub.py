"""Every blob, read in the background: what nobody asks for is found damaged, or missing."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from api.s3.conftest import Storage
from api.s3.damaging import flipped
from api.s3.kept import Kept
from clary.objects.damage import DamageList
from clary.objects.filesystem import FilesystemStore
from clary.services.s3 import scrub
from clary.services.s3.damage import Notices
from clary.store.registry_schema import blobs, images
from clary.testing.frozen_clock import FrozenClock
from whole_server import wait_until

LARGE = 300_000


@pytest.fixture(scope="module")
def storage(database_urls: Callable[[], str]) -> Storage:
    """Only in the home."""
    return Storage(database_urls, None)


@pytest.fixture
def clock(server: SimpleNamespace) -> FrozenClock:
    """Later than every round so far."""
    (server.platform.settings.home / "scrub.json").unlink(missing_ok=True)
    DamageList(server.platform.settings.damages).clear()
    return FrozenClock()


def found(server: SimpleNamespace, bucket: str) -> dict[str, str]:
    listed = DamageList(server.platform.settings.damages).every()
    return {each.what: each.words for each in listed if each.what.startswith(f"s3://{bucket}/")}


def never(_seconds: float) -> bool:
    """A pause that does not wait, and has no end to tell of."""
    return False


def read_all(server: SimpleNamespace, clock: FrozenClock, pause: scrub.Pause = never) -> float:
    """As a server does, whose store tells of damage."""
    platform = server.platform
    notices = Notices(platform.settings, platform.stores.objects, clock)
    objects = FilesystemStore(platform.settings.blobs, notices.of_blob)
    return scrub.go_on(dataclasses.replace(platform, clock=clock, objects=objects), pause)


def test_damaged_and_missing_blobs_are_told_of_once_a_round(
    server: SimpleNamespace, s3: Any, bucket: str, kept: Kept, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    holding = {}
    for key in ("whole", "damaged", "missing"):
        before = kept.names()
        s3.put_object(Bucket=bucket, Key=key, Body=os.urandom(LARGE))
        (holding[key],) = kept.names() - before
    assert read_all(server, clock) == scrub.EVERY
    assert found(server, bucket) == {}
    kept.write(holding["damaged"], flipped(kept.read(holding["damaged"]), LARGE - 1))
    Path(server.platform.objects.path(holding["missing"])).unlink()
    clock.advance(scrub.EVERY - 10)
    assert read_all(server, clock) == pytest.approx(10)
    assert found(server, bucket) == {}
    clock.advance(10)
    with caplog.at_level(logging.ERROR):
        assert read_all(server, clock) == scrub.EVERY
    told = found(server, bucket)
    assert set(told) == {f"s3://{bucket}/damaged", f"s3://{bucket}/missing"}
    assert "its file is missing" in told[f"s3://{bucket}/missing"]
    assert f"s3://{bucket}/damaged is damaged and is not given out" in caplog.text
    for key in ("damaged", "missing"):
        s3.delete_object(Bucket=bucket, Key=key)


def test_a_part_and_a_noncurrent_version_are_read_too(
    server: SimpleNamespace, s3: Any, bucket: str, kept: Kept, clock: FrozenClock
) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    before = kept.names()
    version = s3.put_object(Bucket=bucket, Key="old", Body=os.urandom(LARGE))["VersionId"]
    s3.delete_object(Bucket=bucket, Key="old")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    this = {"Bucket": bucket, "Key": "parts", "UploadId": upload}
    tag = s3.upload_part(**this, PartNumber=1, Body=os.urandom(LARGE))["ETag"]
    s3.complete_multipart_upload(**this, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]})
    for blob in kept.names() - before:
        kept.write(blob, flipped(kept.read(blob), 7))
    read_all(server, clock)
    assert {name.partition(" (version ")[0] for name in found(server, bucket)} == {
        f"s3://{bucket}/old",
        f"s3://{bucket}/parts",
    }
    assert any(version in name for name in found(server, bucket))
    s3.delete_object(Bucket=bucket, Key="old", VersionId=version)


def test_the_registrys_layers_are_read_too(server: SimpleNamespace, kept: Kept, clock: FrozenClock) -> None:
    writer = server.platform.objects.writer()
    writer.write(os.urandom(LARGE))
    blob = writer.commit()
    row = {"blob": blob, "account": "1", "digest": f"sha256:{blob}", "encrypted": False, "size": LARGE}
    server.platform.stores.objects.write(lambda connection: connection.execute(blobs.insert(), row))
    kept.write(blob, flipped(kept.read(blob), 7))
    read_all(server, clock)
    assert any(blob in each.what for each in DamageList(server.platform.settings.damages).every())


def test_manifests_of_images_are_read_too(server: SimpleNamespace, clock: FrozenClock) -> None:
    manifests = {f"sha256:{hashlib.sha256(data).hexdigest()}": data for data in (b"%d" % number for number in range(9))}
    row = {"repository": 1, "media_type": "", "artifact_type": "", "subject": "", "size": 0, "pushed": 0.0}
    rows = [{**row, "digest": digest, "manifest": data} for digest, data in manifests.items()]
    damaged = rows[7] = {**rows[7], "manifest": b"another"}
    server.platform.stores.objects.write(lambda connection: connection.execute(images.insert(), rows))
    read_all(server, clock)
    told = [each.what for each in DamageList(server.platform.settings.damages).every() if "manifest" in each.what]
    assert told == [f"the manifest {damaged['digest']} of a container image"]
    server.platform.stores.objects.write(lambda connection: connection.execute(images.delete()))


def test_it_keeps_to_its_rate_and_goes_on_where_it_was(
    server: SimpleNamespace, s3: Any, bucket: str, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(8):
        s3.put_object(Bucket=bucket, Key=f"{number}", Body=os.urandom(2 << 20))
    pauses: list[float] = []

    def pause(seconds: float) -> bool:
        pauses.append(seconds)
        return len(pauses) == 9

    monkeypatch.setattr(scrub, "_PAGE", 2)
    assert read_all(server, clock, pause) == 0.0
    first = json.loads((server.platform.settings.home / "scrub.json").read_text())
    assert first["position"]
    assert read_all(server, clock, lambda seconds: bool(pauses.append(seconds))) == scrub.EVERY
    assert json.loads((server.platform.settings.home / "scrub.json").read_text())["position"] == ""
    least = 8 * (2 << 20) / (server.platform.settings.scrub_rate << 20)
    assert least <= sum(pauses) < 4 * least + 2


def test_the_thread_ends_when_it_is_told_to(server: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrub, "_FIRST", 0.0)
    (server.platform.settings.home / "scrub.json").unlink(missing_ok=True)
    stopping = threading.Event()
    thread = threading.Thread(target=scrub.forever, args=(server.platform, stopping))
    thread.start()
    wait_until((server.platform.settings.home / "scrub.json").exists, 60, what="nothing is read")
    stopping.set()
    thread.join(60)
    assert not thread.is_alive()
    off = dataclasses.replace(server.platform.settings, scrub_rate=0)
    scrub.forever(dataclasses.replace(server.platform, settings=off), threading.Event())
