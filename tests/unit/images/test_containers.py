"""What an image's URI means without a container engine, and what the engine is told."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from clary.config import Settings
from clary.contract.instance import Image
from clary.images import brought
from clary.images.base import ImageBuildFailed, ImageNotOffered
from clary.images.local import LocalImages
from clary.registry.names import Place, digest_of
from clary.sandbox import engine
from clary.sandbox.engine import NoEngine

VERSION_2 = Path("/sys/fs/cgroup/cgroup.controllers").exists()  # of this machine's cgroups


@pytest.fixture
def without_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The only folder where programs are looked for."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


BROKEN = "echo 'Error: it is broken' >&2; exit 125"
NO_RUNTIME = "echo 'Error: default OCI runtime \"runc\" not found: invalid argument' >&2; exit 125"


def program(folder: Path, name: str, script: str = BROKEN) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_without_an_engine_it_is_said_what_to_do(without_engine: Path, tmp_path: Path) -> None:
    with pytest.raises(NoEngine, match=r"No container engine was found\. Install podman"):
        engine.find()
    program(without_engine, "docker")
    with pytest.raises(NoEngine, match="docker is there, but Clary runs containers by podman only"):
        engine.find()
    fact = engine.look()
    assert not fact.holds
    assert fact.words.endswith("clary images register.")
    images = LocalImages(Settings.load({}, home=tmp_path / "home", images_home=tmp_path / "images"))
    with pytest.raises(ImageNotOffered, match="clary images register URI FOLDER"):
        images.resolve("team/mine:1", account="123456789012")


@pytest.mark.skipif(os.geteuid() != 0, reason="the tests run as an ordinary user already")
@pytest.mark.parametrize(
    ("script", "holds", "words"),
    [
        ("echo 4.3.1 runc", True, "podman 4.3.1 with runc."),
        ("echo 5.0.0 crun", VERSION_2, "podman 5.0.0 with crun." if VERSION_2 else "apt-get install runc"),
        ("echo 3.4.4 runc", False, "it is podman 3.4.4, and containers need 4.1 or newer."),
        ("exit 125", False, "does not work: "),
        (NO_RUNTIME, False, "invalid argument. Install what it starts containers with: apt-get install runc"),
    ],
)
def test_what_the_doctor_says_of_an_engine(without_engine: Path, script: str, holds: bool, words: str) -> None:
    program(without_engine, "podman", script)
    fact = engine.look()
    assert (fact.holds, words in fact.words) == (holds, True), fact.words
    assert fact.words.endswith("clary images register.") is not holds


@pytest.mark.skipif(os.geteuid() != 0, reason="the tests run as an ordinary user already")
def test_an_engine_that_is_broken_is_told_in_its_words(without_engine: Path, tmp_path: Path) -> None:
    program(without_engine, "podman")
    assert "it is broken" in engine.look().words
    images = LocalImages(Settings.load({}, home=tmp_path / "home", images_home=tmp_path / "images"))
    image = Image("container", "team/mine:1", "", "", container="localhost/team/mine:1")
    assert not images.ready(image)
    with pytest.raises(ImageBuildFailed, match="has no image team/mine:1 any more"):
        images.build(image)


@pytest.mark.skipif(os.geteuid() != 0, reason="the tests run as an ordinary user already")
def test_what_nothing_needs_goes_and_does_not_count_as_there_meanwhile(without_engine: Path, tmp_path: Path) -> None:
    settings = Settings.load({}, home=tmp_path / "home", images_home=tmp_path / "images")
    needed, other = digest_of(b"needed"), digest_of(b"other")
    place = Place("123456789012", "us-east-1", "team/app")
    names = [brought.name_of(settings, place, each) for each in (needed, other)]
    others = brought.name_of(Settings.load({}, home=tmp_path / "another"), place, other)
    listed = json.dumps([{"Names": [*names, others], "Size": 5}] * 3 + [{"Names": None}])
    calls = tmp_path / "calls"
    podman = without_engine / "podman"
    podman.write_text(f'#!/bin/sh\necho "$*" >> {calls}\ncase "$*" in *images*) echo \'{listed}\';; esac\n')
    podman.chmod(0o755)
    images = LocalImages(settings)
    image = Image("container", "x", "", "", container=names[0], pin=needed)
    assert images.ready(image)
    seen: list[bool] = []

    def pins() -> set[str]:
        seen.append(images.ready(image))
        return {needed}

    collected = images.collect(pins)
    assert seen[-1:] == [False]
    assert images.ready(image)
    uri = "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/app"
    assert (collected.removed, collected.size, collected.kept) == ([f"{uri}@{other}"], 5, [])
    removals = [line.split()[-1] for line in calls.read_text().splitlines() if " rmi " in f" {line} "]
    assert removals == [names[1]]


@pytest.mark.skipif(os.geteuid() != 0, reason="the tests run as an ordinary user already")
@pytest.mark.parametrize("uri", ["--conmon=../programs/of/a.job", "--cpu-profile=../a/file", "-f=a.b/c"])
def test_the_engine_takes_no_uri_for_an_option(without_engine: Path, tmp_path: Path, uri: str) -> None:
    """Its options name programs that it runs and files that it writes."""
    asked, taken = tmp_path / "asked", tmp_path / "taken"
    options = f'for each; do case "$each" in --) break;; "{uri}") : > {taken};; esac; done'
    program(without_engine, "podman", f": > {asked}\n{options}\n{BROKEN}")
    images = LocalImages(Settings.load({}, home=tmp_path / "home", images_home=tmp_path / "images"))
    with pytest.raises(ImageNotOffered):
        images.resolve(uri, account="123456789012")
    assert asked.exists()
    assert not taken.exists()
