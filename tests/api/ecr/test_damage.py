"""Layers and manifests that are not what was pushed: never given out, told of in plain words, mended by a push."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from api.ecr.registry import Answer, Registry
from api.s3.damaging import flip
from whole_server import WholeServer, wait_until, whole_server

REPOSITORY = "damage/app"
SMALL, LARGE = 100_000, 3_000_017  # answered with by the control plane; sent by an edge


@pytest.fixture(scope="module")
def server() -> Iterator[WholeServer]:
    """One whose list of damages is its own."""
    with whole_server() as made:
        made.client("ecr").create_repository(repositoryName=REPOSITORY)
        yield made


def files(server: WholeServer) -> set[Path]:
    return {path for path in server.settings.blobs.glob("*/*") if path.is_file()}


def damage_manifest(server: WholeServer, image: str) -> None:
    with closing(sqlite3.connect(server.settings.data / "objects.db")) as database:
        longer = "UPDATE registry_images SET manifest = CAST(manifest || ' ' AS BLOB) WHERE digest = ?"
        database.execute(longer, (image,))
        database.commit()


def asked(registry: Registry, path: str) -> Answer | None:
    """None for an answer that breaks off."""
    try:
        return registry.ask("GET", path)
    except (HTTPException, OSError):
        return None


@pytest.mark.parametrize("remove", [False, True])
@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_damaged_layer_is_asked_for_again(server: WholeServer, registry: Registry, size: int, remove: bool) -> None:
    data, before = os.urandom(size), files(server)
    pushed = registry.push_layer(REPOSITORY, data)
    path = f"/v2/{REPOSITORY}/blobs/{pushed['digest']}"
    (file,) = files(server) - before
    if remove:
        file.unlink()
    else:
        flip(file, 70_000)

    def told() -> bool:
        answer = asked(registry, path)
        if answer is None or answer.status != 500:
            return False
        assert (answer.code, b"is damaged on the server's disk" in answer.body) == ("UNKNOWN", True)
        return True

    wait_until(told, 60)
    wait_until(lambda: registry.ask("HEAD", path).status == 404, 60)
    assert pushed["digest"] in (server.home / "damaged.jsonl").read_text()
    registry.push_layer(REPOSITORY, data)
    assert registry.ask("HEAD", path).status == 200
    assert registry.ask("GET", path).body == data


def test_a_disk_that_gives_the_bytes_again(server: WholeServer, registry: Registry) -> None:
    data, before = os.urandom(SMALL), files(server)
    path = f"/v2/{REPOSITORY}/blobs/{registry.push_layer(REPOSITORY, data)['digest']}"
    (file,) = files(server) - before
    flip(file, 10)
    assert registry.ask("GET", path).status == 500
    assert registry.ask("HEAD", path).status == 404
    flip(file, 10)
    assert registry.ask("GET", path).body == data
    assert registry.ask("HEAD", path).status == 200


def test_a_damaged_manifest(server: WholeServer, registry: Registry, ecr: Any) -> None:
    image, manifest = registry.push(REPOSITORY, "v1", b"layer")
    damage_manifest(server, image)
    answer = registry.ask("GET", f"/v2/{REPOSITORY}/manifests/v1")
    assert (answer.status, answer.code) == (500, "UNKNOWN")
    got = ecr.batch_get_image(repositoryName=REPOSITORY, imageIds=[{"imageTag": "v1"}])
    assert (got["images"], got["failures"][0]["failureCode"]) == ([], "ImageInaccessible")
    assert image in (server.home / "damaged.jsonl").read_text()
    registry.push(REPOSITORY, "v1", b"layer")
    assert registry.ask("GET", f"/v2/{REPOSITORY}/manifests/v1").body == manifest


def test_the_deep_check_reads_images(server: WholeServer, registry: Registry) -> None:
    before = files(server)
    layer = registry.push_layer(REPOSITORY, b"of the deep check")
    (file,) = files(server) - before
    image, _ = registry.push(REPOSITORY, "deep", b"layer")
    flip(file, 3)
    damage_manifest(server, image)
    done = server.clary("doctor", "--deep")
    assert done.returncode == 1
    assert f"{layer['digest']}: its bytes from 0 on" in done.stdout
    assert f"{image}: its bytes are not those that were pushed" in done.stdout
    registry.push_layer(REPOSITORY, b"of the deep check")
    registry.push(REPOSITORY, "deep", b"layer")
    assert server.ask("doctor", "--deep")["image_faults"] == []
