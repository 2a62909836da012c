"""Layers and manifests that are not what was pushed, over every kind of database."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from api.s3.damaging import flip, flipped
from clary.config import Settings
from clary.objects.damage import Damaged, DamageList
from clary.registry import images, layers, manifests, repositories
from clary.registry.images import MissingParts
from clary.registry.names import Reference
from clary.registry.pulling import LostLayer
from clary.registry.repositories import Repository
from clary.services.s3.damage import Notices
from clary.store.registry_schema import images as schema_images
from unit.registry.homes import digest, push, put


def test_a_damaged_layer_is_told_of(home: Any, tmp_path: Path) -> None:
    push(home, home.add("app"), b"layer")
    (file,) = home.files()
    settings = Settings.load({}, home=tmp_path)
    Notices(settings, home.database, home.clock).of_blob(file, "its file is cut off")
    (noted,) = DamageList(settings.damages).every()
    assert (noted.what, file in noted.words) == (f"the layer {digest(b'layer')} of container images", True)


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_damaged_layer_is_mended_by_pushing_it_again(home: Any, encrypted: bool) -> None:
    """In every repository of the account that has it, be the damage known or not."""
    mine, too = home.add("app", encrypted=encrypted), home.add("too", encrypted=encrypted)
    for known in (False, True):
        layer = os.urandom(100_000)
        before = set(home.files())
        image = put(home, mine, "v1", b"{}", layer)
        put(home, too, "v1", b"{}", layer)
        (blob,) = [each for each in set(home.files()) - before if Path(home.objects.path(each)).stat().st_size > 50_000]
        flip(Path(home.objects.path(blob)), 70_000)
        wanted = Reference(too.place, image)
        with pytest.raises(Damaged):
            b"".join(home.source.layer(wanted, digest(layer))[1])
        if known:
            home.database.write(lambda connection, blob=blob: layers.note_damage(connection, blob))  # type: ignore[misc] # mypy does not see defaults
            assert not is_whole(home, too, layer)
        push(home, mine, layer)
        assert is_whole(home, too, layer)
        assert b"".join(home.source.layer(wanted, digest(layer))[1]) == layer
        assert blob not in home.files()


def is_whole(home: Any, repository: Repository, data: bytes) -> bool:
    return home.database.read(lambda connection: layers.whole(connection, repository, digest(data))) is not None


def test_what_needs_a_layer_that_is_known_to_be_damaged_is_not_taken(home: Any) -> None:
    mine, too = home.add("app"), home.add("too")
    push(home, mine, b"layer")
    (blob,) = home.files()
    home.database.write(lambda connection: layers.note_damage(connection, blob))
    found = home.database.read(lambda connection: layers.find(connection, mine, digest(b"layer")))
    assert not home.database.write(lambda connection: layers.share(connection, found, too, 0.0))
    descriptor = {"digest": digest(b"layer"), "size": 5}
    manifest = manifests.parse(json.dumps({"schemaVersion": 2, "config": descriptor, "layers": []}).encode())
    with pytest.raises(MissingParts):
        home.database.write(lambda connection: images.put(connection, mine, manifest, "v1", 0.0, lambda _: False))


def test_a_layer_whose_file_is_missing(home: Any) -> None:
    wanted = Reference(home.add("app").place, put(home, home.add("other"), "v1", b"{}"))
    repository = home.database.read(lambda connection: repositories.find(connection, wanted.place))
    push(home, repository, b"layer")
    for blob in home.files():
        Path(home.objects.path(blob)).unlink()
    with pytest.raises(LostLayer):
        home.source.layer(wanted, digest(b"layer"))


def test_a_damaged_manifest_is_mended_by_pushing_it_again(home: Any) -> None:
    repository = home.add("app")
    image = put(home, repository, "v1", b"{}")
    wanted = Reference(repository.place, "v1")
    manifest = home.source.manifest(wanted)
    broken = schema_images.update().where(schema_images.c.digest == image).values(manifest=flipped(manifest.data, 3))
    home.database.write(lambda connection: connection.execute(broken))
    with pytest.raises(Damaged):
        home.source.manifest(wanted)
    put(home, repository, "v1", b"{}")
    assert home.source.manifest(wanted) == manifest
