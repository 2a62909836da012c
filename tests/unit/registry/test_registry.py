"""The registry's rooms over every kind of database: bytes kept once, what is let go and when, images opened."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from clary.registry import garbage, images, layers, listings, manifests, repositories
from clary.registry.names import Place, Reference, read
from clary.registry.pulling import NoSuchImage
from clary.registry.repositories import Repository, RepositoryGone
from clary.registry.uploads import NoSuchUpload, OutOfOrder, WrongDigest
from clary.services.ecr import lifecycle_sweep
from clary.services.s3 import sweep
from clary.wire.messages import BytesBody
from unit.registry.homes import ACCOUNT, REGION, digest, push, put

DAY = 86_400.0


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
