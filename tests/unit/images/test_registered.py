"""Registrations: what they copy, keep and let go."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import threading
from pathlib import Path

import pytest

from clary.config import Settings
from clary.images.base import ImageBuildFailed, ImageNotOffered
from clary.images.local import LocalImages
from clary.images.registered import CannotRegister, Registry
from whole_server import wait_until

ACCOUNT, URI, ENVIRONMENT = "123456789012", "team/mine:1", "scikit-learn"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.load({}, home=tmp_path / "home", images_home=tmp_path / "images")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "programs"
    (made / "lib").mkdir(parents=True)
    (made / "train").write_text("#!/bin/sh\nexit 0\n")
    (made / "train").chmod(0o700)
    (made / "lib" / "data.txt").write_text("one")
    (made / "lib" / "data.txt").chmod(0o600)
    (made / "link").symlink_to("lib/data.txt")
    return made


def test_a_copy_is_what_the_folder_was_and_can_be_read_by_jobs(settings: Settings, folder: Path) -> None:
    Registry(settings).add(ACCOUNT, URI, folder, ENVIRONMENT)
    (folder / "lib" / "data.txt").write_text("two")
    image = LocalImages(settings).resolve(URI, account=ACCOUNT)
    copy = Path(image.programs)
    assert image.kind == "folder"
    assert ((copy / "lib/data.txt").read_text(), (copy / "link").readlink()) == ("one", Path("lib/data.txt"))
    modes = {name: stat.S_IMODE((copy / name).stat().st_mode) for name in ("", "train", "lib", "lib/data.txt")}
    assert modes == {"": 0o755, "train": 0o755, "lib": 0o755, "lib/data.txt": 0o644}


def test_the_same_content_is_kept_once_and_other_content_beside_it(settings: Settings, folder: Path) -> None:
    registry = Registry(settings)
    first = registry.add(ACCOUNT, URI, folder, ENVIRONMENT)
    again = registry.add("111122223333", "team/other:1", folder, ENVIRONMENT)
    assert again.folder == first.folder
    (folder / "train").chmod(0o600)  # what was a program is a file
    assert registry.add(ACCOUNT, URI, folder, ENVIRONMENT).folder != first.folder
    assert registry.collect(frozenset).removed == []


def test_a_copy_goes_when_nothing_needs_it(settings: Settings, folder: Path) -> None:
    registry = Registry(settings)
    made = registry.add(ACCOUNT, URI, folder, ENVIRONMENT)
    image = made.image(settings)
    place = Path(image.programs)

    def removed(*pins: str) -> list[str]:
        return registry.collect(lambda: set(pins)).removed

    os.utime(place, (0, 0))
    assert removed() == []
    assert registry.remove(ACCOUNT, URI)
    assert not registry.remove(ACCOUNT, URI)
    assert removed() == []  # a request may have found it just before
    os.utime(place, (0, 0))
    assert removed(image.pin) == []
    instance = settings.instances / "job-1"
    instance.mkdir(parents=True)
    (instance / "spec.json").write_text(f'{{"image":{{"programs":"{place}"}}}}')
    assert removed() == []
    (instance / "spec.json").unlink()
    assert removed() == [str(place)]
    assert not place.exists()


def test_a_collection_waits_for_a_registration(settings: Settings) -> None:
    """Which has its copy before it has its name."""
    registry = Registry(settings)
    stale = settings.registered_images / "folders" / ".new-killed"
    stale.mkdir(parents=True)
    with (settings.registered_images / "lock").open("w") as file:  # as a registration of another process holds it
        fcntl.flock(file, fcntl.LOCK_EX)
        collecting = threading.Thread(target=registry.collect, args=(frozenset,))
        collecting.start()
        wait_until(lambda: waits_for_a_lock(file.fileno()), 60)
        assert stale.exists()
    collecting.join(60)
    assert not stale.exists()


def waits_for_a_lock(descriptor: int) -> bool:
    """Whether somebody waits for that of the file."""
    inode = os.fstat(descriptor).st_ino
    lines = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and f":{inode} " in line for line in lines)


def test_a_pin_finds_what_the_image_stood_for(settings: Settings, folder: Path) -> None:
    registry, images = Registry(settings), LocalImages(settings)
    registry.add(ACCOUNT, URI, folder, ENVIRONMENT)
    first = images.resolve(URI, account=ACCOUNT)
    (folder / "train").write_text("another")
    registry.add(ACCOUNT, URI, folder, "xgboost-script")
    assert images.resolve(URI, account=ACCOUNT).programs != first.programs
    assert images.resolve(URI, account=ACCOUNT, pin=first.pin) == first
    registry.add(ACCOUNT, URI, None, "xgboost-script")
    scripts = images.resolve(URI, account=ACCOUNT)
    registry.remove(ACCOUNT, URI)
    assert images.resolve(URI, account=ACCOUNT, pin=scripts.pin) == scripts
    shutil.rmtree(first.programs)
    with pytest.raises(ImageNotOffered, match="stood for a folder that is not kept here any more"):
        images.resolve(URI, account=ACCOUNT, pin=first.pin)


def test_a_registration_is_one_accounts(settings: Settings, folder: Path) -> None:
    Registry(settings).add(ACCOUNT, URI, folder, ENVIRONMENT)
    images = LocalImages(settings)
    for account in ("111122223333", ""):
        with pytest.raises(ImageNotOffered, match="clary images register"):
            images.resolve(URI, account=account)


def test_requirements_make_an_environment_of_their_own(settings: Settings, folder: Path) -> None:
    plain = Registry(settings).add(ACCOUNT, URI, folder, ENVIRONMENT).image(settings)
    (folder / "requirements.txt").write_text("humanize==4.9.0\n")
    layered = Registry(settings).add(ACCOUNT, URI, folder, ENVIRONMENT).image(settings)
    assert layered.environment.startswith(f"{plain.environment}+")
    assert layered.foundation == plain.foundation == plain.environment


def test_an_environment_stands_for_scripts(settings: Settings) -> None:
    Registry(settings).add(ACCOUNT, URI, None, "xgboost-script")
    image = LocalImages(settings).resolve(URI, account=ACCOUNT)
    assert (image.kind, image.algorithm) == ("framework", "xgboost")


def test_what_cannot_stand_for_an_image_is_said(settings: Settings, folder: Path, tmp_path: Path) -> None:
    registry = Registry(settings)
    with pytest.raises(CannotRegister, match="neither a program `train` nor"):
        registry.add(ACCOUNT, URI, tmp_path, ENVIRONMENT)
    with pytest.raises(CannotRegister, match="environments for scripts"):
        registry.add(ACCOUNT, URI, folder, "no-such")
    with pytest.raises(ImageNotOffered, match="not a valid image URI"):
        registry.add(ACCOUNT, "Not A URI", folder, ENVIRONMENT)
    os.mkfifo(folder / "pipe")
    with pytest.raises(CannotRegister, match="no file, folder or link"):
        registry.add(ACCOUNT, URI, folder, ENVIRONMENT)
    assert registry.every() == []
    assert [each.name for each in (settings.registered_images / "folders").iterdir()] == []


def test_a_build_that_fails_in_any_way_is_told(settings: Settings, folder: Path, fake_uv: Path) -> None:
    built = threading.Event()
    (folder / "requirements.txt").write_text("humanize==4.9.0\n")
    Registry(settings).add(ACCOUNT, URI, folder, ENVIRONMENT)
    images = LocalImages(settings, built=built.set)
    image = images.resolve(URI, account=ACCOUNT)
    Path(image.programs, "requirements.txt").write_text("./from-here\n")  # what no registration lets through
    assert not images.prepare(image)
    assert built.wait(60)
    with pytest.raises(ImageBuildFailed, match="from-here"):
        images.prepare(image)


def test_an_environment_of_another_version_is_told(settings: Settings, folder: Path) -> None:
    registry = Registry(settings)
    registry.add(ACCOUNT, URI, folder, ENVIRONMENT)
    (place,) = settings.registered_images.glob(f"{ACCOUNT}/*.json")
    place.write_text(place.read_text().replace(ENVIRONMENT, "scikit-learn-0"))
    with pytest.raises(ImageNotOffered, match="Register it again"):
        LocalImages(settings).resolve(URI, account=ACCOUNT)
