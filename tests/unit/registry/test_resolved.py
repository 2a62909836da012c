"""What an image's URI means where there are repositories, over every kind of database."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from clary.config import Settings
from clary.contract.processes import start_ticks
from clary.images.base import ImageBuildFailed, ImageNotOffered, ImageUnknown
from clary.images.local import LocalImages
from clary.registry.names import host_name
from clary.store.registry_schema import images as schema_images
from unit.registry.homes import ACCOUNT, REGION, digest, enter, push, put
from whole_server import wait_until

OTHER = "210987654321"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="containers are run by root alone")


@pytest.fixture
def engine_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """engine_with(name): the machine's engine has one image, under that name."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)

    def make(name: str) -> None:
        (folder / "podman").write_text(f"#!/bin/sh\necho '{json.dumps([{'RepoTags': [name]}])}'\n")
        (folder / "podman").chmod(0o755)

    return make


@pytest.fixture
def images(home: Any, tmp_path: Path) -> LocalImages:
    return LocalImages(Settings.load({}, home=tmp_path, images_home=tmp_path / "images"), source=home.source)


def test_an_image_of_the_engine_by_the_name_of_anothers_repository(
    home: Any, images: LocalImages, engine_with: Callable[[str], None]
) -> None:
    """Whoever built it to push it left it there."""
    put(home, home.add("secret"), "1", b"layer")
    uri = f"{host_name(ACCOUNT, REGION)}/secret:1"
    engine_with(uri)
    with pytest.raises(ImageUnknown):
        images.resolve(uri, account=OTHER)
    assert images.resolve(uri, account=ACCOUNT).repository.endswith(":repository/secret")
    uri = f"{host_name(ACCOUNT, REGION)}/none-here:1"  # AWS's own, say, that `clary images pull` fetched
    engine_with(uri)
    assert images.resolve(uri, account=OTHER).container == uri


def test_an_image_of_the_engine_by_this_servers_name(
    home: Any, images: LocalImages, engine_with: Callable[[str], None], tmp_path: Path
) -> None:
    """It is the name of a repository of whoever asks, and was built by somebody else."""
    put(home, home.add("secret"), "1", b"layer")
    uri = f"localhost:{Settings.load({}, home=tmp_path).port}/secret:1"
    engine_with(uri)
    with pytest.raises(ImageUnknown):
        images.resolve(uri, account=OTHER)
    assert images.resolve(uri, account=ACCOUNT).repository.endswith(":repository/secret")


def test_a_layer_that_podman_makes_more_of_than_was_counted(
    home: Any, images: LocalImages, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As of a file with holes: the pull is ended, with the process that writes, before the disk is full."""
    put(home, home.add("app"), "1", b"config", b"layer")
    podman, began = tmp_path / "podman", tmp_path / "began"
    writing = "sh -c 'echo $$ > writer; mv writer began; exec sleep 600'"
    podman.write_text(f"""#!/bin/sh
cd {tmp_path}
case " $* " in *" image exists "*) exit 1;; *" info "*) exec pwd;; *" pull "*) {writing} & wait;; esac
""")
    podman.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=49 if began.exists() else 100))
    image = images.resolve(f"{host_name(ACCOUNT, REGION)}/app:1", account=ACCOUNT)
    with pytest.raises(ImageBuildFailed, match="less than half of what it had free"):
        images.build(image)
    writer = int(began.read_text())
    wait_until(lambda: start_ticks(writer) is None, 10)


def test_a_layer_is_told_to_podman_by_the_one_digest_that_was_counted(
    home: Any, images: LocalImages, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Go takes the last of what differs in case alone."""
    repository, large = home.add("app"), bytes(1000)
    descriptors = [{"digest": push(home, repository, each), "size": len(each)} for each in (b"config", b"small", large)]
    both = {**descriptors[1], "Digest": descriptors[2]["digest"], "annotations": {"a": "b"}, "URLs": ["http://a"]}
    document = {"schemaVersion": 2, "config": {**descriptors[0], "Digest": digest(large)}, "layers": [both]}
    enter(home, repository, "1", document)
    podman = tmp_path / "podman"
    podman.write_text(f"""#!/bin/sh
case " $* " in *" image exists "*) exit 1;; *" info "*) echo {tmp_path};; *" pull "*) for at; do :; done
cat "${{at#dir:}}/manifest.json" > {tmp_path}/told; echo identity;; esac
""")
    podman.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    images.build(images.resolve(f"{host_name(ACCOUNT, REGION)}/app:1", account=ACCOUNT))
    told = json.loads((tmp_path / "told").read_text())
    assert (told["config"], told["layers"]) == (descriptors[0], [descriptors[1]])


def test_a_damaged_manifest_is_told_of(home: Any, images: LocalImages, engine_with: Callable[[str], None]) -> None:
    image = put(home, home.add("app"), "1", b"layer")
    engine_with("none")
    change = schema_images.update().values(manifest=b"{}")
    home.database.write(lambda connection: connection.execute(change))
    for pin in ("", image):
        with pytest.raises(ImageNotOffered, match=r"is damaged .* Push it again"):
            images.resolve(f"{host_name(ACCOUNT, REGION)}/app:1", account=ACCOUNT, pin=pin)
