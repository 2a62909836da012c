"""The server is killed while images are pushed: what was acknowledged is there, and comes to where it is replicated; a
push that was cut off goes on."""

from __future__ import annotations

import itertools
import os
import threading
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from api.ecr.conftest import token_of
from api.ecr.registry import Registry, digest
from api.sns.test_crash import kill
from clary.objects.filesystem import FilesystemStore
from clary.services.s3 import sweep
from clary.store import schema
from clary.store.engine import SqliteDatabase
from whole_server import WholeServer, wait_until, whole_server

MIB = 1024 * 1024
REPOSITORY = "crash/app"
_LOST = (OSError, HTTPException, AssertionError)


class Pusher(threading.Thread):
    """Pushes images of a layer of its own, one after the other; `pushed` are those whose push was acknowledged."""

    def __init__(self, registry: Registry, number: int) -> None:
        super().__init__()
        self.registry = registry
        self.number = number
        self.pushed: dict[str, bytes] = {}
        self.done = threading.Event()

    def run(self) -> None:
        for count in itertools.count():
            if self.done.is_set():
                return
            tag, layer = f"{self.number}-{count}", os.urandom(100_000)
            try:
                self.registry.push(REPOSITORY, tag, layer)
            except _LOST:
                self.done.wait(0.05)
            else:
                self.pushed[tag] = layer


def _count(pushers: list[Pusher]) -> int:
    return sum(len(each.pushed) for each in pushers)


def _push_through(server: WholeServer, registry: Registry, victims: list[str]) -> dict[str, bytes]:
    pushers = [Pusher(registry, number) for number in range(2)]
    for each in pushers:
        each.start()
    try:
        for victim in [*victims, ""]:
            before = _count(pushers)
            wait_until(lambda before=before: _count(pushers) > before + 3, 60)  # type: ignore[misc] # mypy does not see defaults
            if victim:
                kill(server, victim)
    finally:
        for each in pushers:
            each.done.set()
            each.join(60)
    return {tag: layer for each in pushers for tag, layer in each.pushed.items()}


def tags(ecr: Any) -> set[str]:
    pages = ecr.get_paginator("list_images").paginate(repositoryName=REPOSITORY)
    return {each["imageTag"] for page in pages for each in page["imageIds"]}


@pytest.mark.parametrize(
    "victims",
    [
        pytest.param(["control"], id="once"),
        pytest.param(["control", "supervisor", "control"], id="again", marks=pytest.mark.slow),
    ],
)
def test_what_was_acknowledged_is_there(victims: list[str], tmp_path: Path) -> None:
    with whole_server() as server:
        ecr = server.client("ecr")
        ecr.create_repository(repositoryName=REPOSITORY)
        elsewhere = server.client("ecr", region_name="eu-west-1")
        elsewhere.create_repository(repositoryName=REPOSITORY)
        rule = {"destinations": [{"region": "eu-west-1", "registryId": "123456789012"}]}
        ecr.put_replication_configuration(replicationConfiguration={"rules": [rule]})
        registry = Registry(server.port, token_of(ecr))
        begun = registry.upload(REPOSITORY)
        first, rest = os.urandom(MIB), os.urandom(1000)
        assert registry.ask("PATCH", begun, first).status == 202
        pushed = _push_through(server, registry, victims)
        for tag, layer in pushed.items():
            assert registry.ask("GET", f"/v2/{REPOSITORY}/manifests/{tag}").status == 200, tag
            assert registry.ask("GET", f"/v2/{REPOSITORY}/blobs/{digest(layer)}").body == layer, tag
        wait_until(lambda: pushed.keys() <= tags(elsewhere), 60, what="some images do not come to the other region")
        assert registry.ask("GET", begun).headers["range"] == f"0-{MIB - 1}"
        done = registry.ask("PUT", f"{begun}?digest={digest(first + rest)}", rest)
        assert done.status == 201
        server.down()
        database = SqliteDatabase(str(server.settings.data / "objects.db"), schema.OBJECTS)
        sweep.sweep(FilesystemStore(server.settings.blobs), database, grace=-60)
        database.close()
        server.up()
        assert registry.ask("GET", done.headers["location"]).body == first + rest
        for layer in pushed.values():
            assert registry.ask("HEAD", f"/v2/{REPOSITORY}/blobs/{digest(layer)}").status == 200
