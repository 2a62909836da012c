"""A server that starts with a root key, and one that is given another."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from clary import app
from clary.config import Settings
from clary.secrets.recognition import WrongRootKey


def started(settings: Settings) -> str:
    """The fingerprint of the root key of a control plane that was built."""
    control_plane = app.build(settings)
    for database in (control_plane.platform.stores.records, control_plane.platform.stores.objects):
        database.close()
    control_plane.platform.stores.logs.close()
    return control_plane.platform.secrets.fingerprint()


def test_the_key_may_move_but_not_change(tmp_path: Path) -> None:
    settings = Settings.load({}, home=tmp_path, images_home=tmp_path / "images")
    first = started(settings)
    file = settings.secrets / "root.key"
    moved = Settings.load({"CLARY_ROOT_KEY": file.read_text()}, home=tmp_path, images_home=tmp_path / "images")
    file.unlink()
    assert started(moved) == first
    other = base64.b64encode(bytes(32)).decode()
    wrong = Settings.load({"CLARY_ROOT_KEY": other}, home=tmp_path, images_home=tmp_path / "images")
    with pytest.raises(WrongRootKey, match=r"Give back its secrets/root\.key"):
        started(wrong)
    with pytest.raises(WrongRootKey):
        started(settings)  # the file is lost: a new one is drawn, and is another
