"""What an image's URI means without a container engine, and what the engine is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clary.config import Settings
from clary.contract.instance import Image
from clary.images.base import ImageBuildFailed, ImageNotOffered
from clary.images.local import LocalImages
from clary.sandbox import engine
from clary.sandbox.engine import NoEngine


@pytest.fixture
def without_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The only folder where programs are looked for."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def program(folder: Path, name: str) -> None:
    (folder / name).write_text("#!/bin/sh\necho 'Error: it is broken' >&2\nexit 125\n")
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
def test_an_engine_that_is_broken_is_told_in_its_words(without_engine: Path, tmp_path: Path) -> None:
    program(without_engine, "podman")
    assert "it is broken" in engine.look().words
    images = LocalImages(Settings.load({}, home=tmp_path / "home", images_home=tmp_path / "images"))
    image = Image("container", "team/mine:1", "", "", container="localhost/team/mine:1")
    assert not images.ready(image)
    with pytest.raises(ImageBuildFailed, match="has no image team/mine:1 any more"):
        images.build(image)
