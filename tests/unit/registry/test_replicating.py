"""Images on their way to another registry, over every kind of database."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from api.s3.damaging import flip
from clary.config import Settings
from clary.registry import images, replications, repositories
from clary.registry.names import Place, Reference
from clary.registry.replications import Destination
from clary.registry.repositories import Repository
from clary.services.ecr import replicating
from unit.registry.homes import ACCOUNT, index, put

THERE = Destination(ACCOUNT, "eu-west-1")


@pytest.fixture
def platform(home: Any, tmp_path: Path) -> Any:
    stores = SimpleNamespace(objects=home.database)
    settings = Settings.load({}, home=tmp_path)
    return SimpleNamespace(
        stores=stores, clock=home.clock, objects=home.objects, secrets=home.secrets, settings=settings
    )


def begin(home: Any, repository: Repository, image: str, tag: str) -> None:
    home.database.write(lambda connection: replications.begin(connection, repository, image, tag, [THERE]))


def statuses(home: Any, repository: Repository, image: str) -> list[tuple[str, str]]:
    found = home.database.read(lambda connection: replications.of_image(connection, repository, image))
    return [(each.status, each.failure) for each in found]


def there(home: Any, repository: Repository, reference: str) -> bool:
    wanted = Reference(Place(THERE.account, THERE.region, repository.name), reference)
    return home.database.read(lambda connection: images.at(connection, wanted)) is not None


def test_an_index_that_has_an_image_by_many_ways(home: Any, platform: Any) -> None:
    """Each image is brought once, in front of what needs it."""
    repository = home.add("app")
    level = [put(home, repository, "", b"{}", name) for name in (b"one", b"two")]
    for _ in range(30):  # by two to the thirtieth ways
        level = [index(home, repository, "v1", level, number) for number in range(2)]
    begin(home, repository, level[1], "v1")
    assert replicating.replicate(platform, threading.Event(), {})
    assert statuses(home, repository, level[1]) == [("COMPLETE", "")]
    assert there(home, repository, "v1")


def test_a_damaged_layer_keeps_no_other_image_from_its_turn(home: Any, platform: Any) -> None:
    """It goes to an encrypted repository, where its bytes have to be read."""
    repository = home.add("app")
    home.database.write(
        lambda connection: repositories.add(
            connection, Place(THERE.account, THERE.region, "app"), 0.0, {"imageTagMutability": "MUTABLE"}, True, {}
        )
    )
    broken = put(home, repository, "broken", b"of the broken one")
    (file,) = home.files()
    whole = put(home, repository, "whole", b"of the whole one")
    flip(Path(home.objects.path(file)), 3)
    for image, tag in ((broken, "broken"), (whole, "whole")):
        begin(home, repository, image, tag)
    assert replicating.replicate(platform, threading.Event(), {})
    assert statuses(home, repository, broken) == [("FAILED", "ImageDamaged")]
    assert statuses(home, repository, whole) == [("COMPLETE", "")]
    put(home, repository, "broken", b"of the broken one")
    begin(home, repository, broken, "broken")
    assert replicating.replicate(platform, threading.Event(), {})
    assert statuses(home, repository, broken) == [("COMPLETE", "")]


def test_what_cannot_be_done_now_is_done_later(home: Any, platform: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = home.add("app", encrypted=True)
    image = put(home, repository, "v1", b"layer")
    begin(home, repository, image, "v1")
    full = SimpleNamespace(writer=lambda: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    full.read = home.objects.read
    resting: dict[int, float] = {}
    assert not replicating.replicate(SimpleNamespace(**{**vars(platform), "objects": full}), threading.Event(), resting)
    other = put(home, repository, "v2", b"other layer")
    begin(home, repository, other, "v2")
    assert not replicating.replicate(platform, threading.Event(), resting)
    assert statuses(home, repository, image) == [("IN_PROGRESS", "")]
    assert statuses(home, repository, other) == [("COMPLETE", "")]  # it does not wait for the first
    resting = dict.fromkeys(resting, 0.0)
    assert replicating.replicate(platform, threading.Event(), resting)
    assert statuses(home, repository, image) == [("COMPLETE", "")]


def test_what_was_deleted_or_moved_meanwhile(home: Any, platform: Any) -> None:
    repository, gone = home.add("app"), home.add("gone")
    first = put(home, repository, "v1", b"first")
    begin(home, repository, first, "v1")
    second = put(home, repository, "v1", b"second")
    deleted, of_gone = put(home, repository, "v2", b"deleted"), put(home, gone, "v1", b"gone")
    for where, image in ((repository, deleted), (gone, of_gone)):
        begin(home, where, image, "")
    home.database.write(lambda connection: images.remove(connection, repository, deleted, 0.0))
    home.database.write(lambda connection: repositories.remove(connection, gone))
    assert replicating.replicate(platform, threading.Event(), {})
    assert [there(home, repository, each) for each in (first, second, "v1", deleted)] == [True, False, False, False]
    assert not there(home, gone, of_gone)
