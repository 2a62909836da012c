"""The registry's rooms over every kind of database: bytes kept once, what is let go and when, images opened."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from api.s3.damaging import flip, flipped
from clary.config import Settings
from clary.objects.damage import Damaged, DamageList
from clary.objects.filesystem import FilesystemStore
from clary.registry import garbage, images, layers, listings, manifests, repositories
from clary.registry.bytes_at_rest import Bytes
from clary.registry.images import MissingParts
from clary.registry.names import Place, Reference, read
from clary.registry.pulling import ImageSource, LostLayer, NoSuchImage
from clary.registry.repositories import Repository, RepositoryGone
from clary.registry.uploads import NoSuchUpload, OutOfOrder, Uploads, WrongDigest
from clary.secrets import SealingKey
from clary.services.ecr import lifecycle_sweep
from clary.services.s3 import sweep
from clary.services.s3.damage import Notices
from clary.store import schema
from clary.store.registry_schema import images as schema_images
from clary.testing.frozen_clock import FrozenClock
from clary.wire.messages import BytesBody
from databases import open_database

DAY = 86_400.0
ACCOUNT, REGION = "123456789012", "us-east-1"


@pytest.fixture
def home(tmp_path: Path, database_urls: Callable[[], str]) -> Iterator[Any]:
    database, clock = open_database(database_urls(), tmp_path, schema.OBJECTS), FrozenClock()
    objects, secrets = FilesystemStore(tmp_path / "blobs"), SealingKey(bytes(32))
    kept = Bytes(objects, secrets)

    def add(name: str, account: str = ACCOUNT, encrypted: bool = False) -> Repository:
        place = Place(account, REGION, name)
        return database.write(lambda connection: repositories.add(connection, place, clock.now(), {}, encrypted, {}))

    yield SimpleNamespace(
        database=database,
        clock=clock,
        objects=objects,
        kept=kept,
        add=add,
        uploads=Uploads(database, kept, clock),
        source=ImageSource(database, objects, secrets, clock),
        files=lambda: sorted(path.name for path in (tmp_path / "blobs").glob("[0-9a-f][0-9a-f]/*")),
        collect=lambda: garbage.collect(database, kept, clock),
    )
    database.close()


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def push(home: Any, repository: Repository, *pieces: bytes) -> str:
    upload = home.uploads.begin(repository).id
    for piece in pieces:
        home.uploads.append(repository, upload, BytesBody(piece))
    home.uploads.complete(repository, upload, digest(b"".join(pieces)))
    return digest(b"".join(pieces))


def put(home: Any, repository: Repository, tag: str, *data: bytes, **more: Any) -> str:
    descriptors = [{"digest": push(home, repository, each), "size": len(each)} for each in data]
    document = {"schemaVersion": 2, "config": descriptors[0], "layers": descriptors[1:], **more}
    manifest = manifests.parse(json.dumps(document).encode())
    now = home.clock.now()
    home.database.write(lambda connection: images.put(connection, repository, manifest, tag, now, lambda _: False))
    return manifest.digest


def has(home: Any, repository: Repository, data: bytes) -> bool:
    return home.database.read(lambda connection: layers.find(connection, repository, digest(data))) is not None


def test_the_same_bytes_are_kept_once_in_an_account(home: Any) -> None:
    mine, too, theirs, sealed = home.add("a1"), home.add("a2"), home.add("a1", "2" * 12), home.add("a3", encrypted=True)
    push(home, mine, b"layer")
    push(home, too, b"la", b"yer")
    assert len(home.files()) == 1
    push(home, theirs, b"layer")
    push(home, sealed, b"layer")
    assert len(home.files()) == 3
    home.database.write(lambda connection: repositories.remove(connection, mine))
    home.collect()
    assert len(home.files()) == 3
    home.database.write(lambda connection: repositories.remove(connection, too))
    assert home.collect() == garbage.Freed(1, 5)
    assert len(home.files()) == 2


def test_what_no_image_needs_goes_after_a_day(home: Any) -> None:
    repository = home.add("app")
    image = put(home, repository, "v1", b"{}", b"needed")
    push(home, repository, b"not needed")
    home.clock.advance(DAY - 1)
    assert home.collect().blobs == 0
    home.clock.advance(2)
    assert home.collect() == garbage.Freed(1, 10)
    assert [has(home, repository, each) for each in (b"needed", b"not needed")] == [True, False]
    now = home.clock.now()
    home.database.write(lambda connection: images.remove(connection, repository, image, now))
    assert home.collect().blobs == 0  # somebody may be about to push it again
    home.clock.advance(DAY + 1)
    assert home.collect().blobs == 2
    assert home.files() == []


def test_an_upload_that_stopped_goes_after_a_day(home: Any) -> None:
    repository = home.add("app")
    upload = home.uploads.begin(repository).id
    home.uploads.append(repository, upload, BytesBody(b"some"))
    empty = home.uploads.begin(repository).id
    home.clock.advance(DAY - 1)
    home.uploads.append(repository, upload, BytesBody(b" more"))
    home.clock.advance(2)
    home.collect()
    assert home.uploads.find(repository, upload).size == 9
    with pytest.raises(NoSuchUpload):
        home.uploads.find(repository, empty)
    home.clock.advance(DAY)
    assert home.collect().blobs == 2
    assert home.files() == []
    with pytest.raises(NoSuchUpload):
        home.uploads.append(repository, upload, BytesBody(b"too late"))


def test_a_part_in_the_wrong_place_leaves_nothing(home: Any) -> None:
    repository = home.add("app")
    upload = home.uploads.begin(repository).id
    home.uploads.append(repository, upload, BytesBody(b"some"))
    with pytest.raises(OutOfOrder, match="4 bytes have come"):
        home.uploads.append(repository, upload, BytesBody(b"more"), 3)
    assert len(home.files()) == 1


def test_bytes_of_another_digest_leave_nothing(home: Any) -> None:
    repository = home.add("app")
    for pieces in ((b"one",), (b"tw", b"o"), ()):
        upload = home.uploads.begin(repository).id
        for piece in pieces:
            home.uploads.append(repository, upload, BytesBody(piece))
        with pytest.raises(WrongDigest):
            home.uploads.complete(repository, upload, digest(b"another"))
    assert home.files() == []


def test_an_upload_does_not_outlive_its_repository(home: Any) -> None:
    repository = home.add("app")
    upload = home.uploads.begin(repository).id
    home.kept.discard(home.database.write(lambda connection: repositories.remove(connection, repository)))
    again = home.add("app")
    with pytest.raises(NoSuchUpload):
        home.uploads.append(again, upload, BytesBody(b"some"))
    with pytest.raises(RepositoryGone):
        home.uploads.begin(repository)


def test_a_lifecycle_policy_is_carried_out(home: Any) -> None:
    broken, repository = home.add("broken"), home.add("app")
    home.database.write(lambda connection: repositories.change(connection, broken, lifecycle="of another release"))
    for number in range(3):
        put(home, repository, f"v{number}", b"{}", bytes([number]))
        home.clock.advance(60)
    selection = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1}
    text = json.dumps({"rules": [{"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}]})
    home.database.write(lambda connection: repositories.change(connection, repository, lifecycle=text))
    platform: Any = SimpleNamespace(stores=SimpleNamespace(objects=home.database), clock=home.clock)
    assert lifecycle_sweep.sweep(platform) == 2
    left = home.database.read(lambda connection: listings.names(connection, repository, "", 9))
    again = home.database.read(lambda connection: repositories.again(connection, repository))
    assert (left, again.evaluated) == (["v2"], home.clock.now())
    assert lifecycle_sweep.sweep(platform) == 0


def test_referrers_come_in_pages(home: Any) -> None:
    repository = home.add("app")
    subject = put(home, repository, "v1", b"{}", b"layer")
    about = {"subject": {"digest": subject, "size": 1}}
    named = sorted(put(home, repository, f"s{number}", b"{}", bytes([number]), **about) for number in range(3))

    def page(after: str, limit: int) -> Any:
        return home.database.read(
            lambda connection: listings.referrers(connection, repository, subject, [], after, limit)
        )

    for after, limit, wanted, more in (
        ("", 2, named[:2], True),
        (named[1], 2, named[2:], False),
        ("", 3, named, False),
    ):
        found, is_more = page(after, limit)
        assert ([each.digest for each in found], is_more) == (wanted, more)
    odd = home.database.read(lambda connection: listings.referrers(connection, repository, subject, ["a\0b"], "\0", 9))
    assert odd == ([], False)


def test_the_sweep_of_objects_leaves_layers(home: Any) -> None:
    repository = home.add("app")
    push(home, repository, b"layer")
    home.uploads.append(repository, home.uploads.begin(repository).id, BytesBody(b"on its way"))
    lost = home.objects.writer()
    lost.write(b"of a crash")
    lost.commit()
    assert sweep.sweep(home.objects, home.database, grace=-60) == 1
    assert len(home.files()) == 2


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


@pytest.mark.parametrize("encrypted", [False, True])
def test_an_image_is_opened(home: Any, encrypted: bool) -> None:
    repository = home.add("app", encrypted=encrypted)
    image = put(home, repository, "v1", b"{}", b"layer" * 50_000)
    wanted = Reference(repository.place, "v1")
    manifest = home.source.manifest(wanted)
    assert (manifest.digest, manifest.media_type) == (image, manifests.OCI_IMAGE)
    assert home.source.manifest(wanted._replace(reference=image)) == manifest
    named = json.loads(manifest.data)["layers"][0]["digest"]
    size, pieces = home.source.layer(wanted, named)
    assert (size, b"".join(pieces)) == (250_000, b"layer" * 50_000)
    for missing in (wanted._replace(reference="v2"), Reference(Place(ACCOUNT, REGION, "none"), "v1")):
        with pytest.raises(NoSuchImage):
            home.source.manifest(missing)
    with pytest.raises(NoSuchImage):
        home.source.layer(wanted, digest(b"another"))


@pytest.mark.parametrize(
    ("uri", "wanted"),
    [
        ("127.0.0.1:8000/app", (ACCOUNT, REGION, "app", "latest")),
        ("127.0.0.1:8000/team/app:v1", (ACCOUNT, REGION, "team/app", "v1")),
        ("222222222222.dkr.ecr.eu-west-1.amazonaws.com/app:v1", ("222222222222", "eu-west-1", "app", "v1")),
        (
            "127.0.0.1:8000/222222222222.dkr.ecr.eu-west-1.amazonaws.com/app:v1",
            ("222222222222", "eu-west-1", "app", "v1"),
        ),
        (f"127.0.0.1:8000/app:v1@{digest(b'')}", (ACCOUNT, REGION, "app", digest(b""))),
        ("docker.io/library/python:3.11", None),
        ("127.0.0.1:9000/app", None),
        ("python:3.11", None),
        ("127.0.0.1:8000/App", None),
        ("127.0.0.1:8000/app:no tag", None),
        ("127.0.0.1:8000/app@sha256:1", None),
        ("127.0.0.1:8000/", None),
    ],
)
def test_references(uri: str, wanted: tuple[str, ...] | None) -> None:
    found = read(uri, ACCOUNT, REGION, frozenset({"127.0.0.1:8000"}))
    assert (None if found is None else (*found.place, found.reference)) == wanted
