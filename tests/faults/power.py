"""A loss of power, without one: what of a folder would be there, as `synced.c` keeps it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

_SOURCE = Path(__file__).with_name("synced.c")


class Power:
    """Of the files below `home`, as far as programs with `environment` write them. `folder` is one to work in."""

    def __init__(self, home: Path, folder: Path) -> None:
        self._shadow = folder / "shadow"
        for name in ("files", "folders"):
            (self._shadow / name).mkdir(parents=True)
        self._folder = folder
        self._pictures = 0
        self.environment = {
            "LD_PRELOAD": str(_built(folder)),
            "SYNCED_HOME": str(home.resolve()),
            "SYNCED_SHADOW": str(self._shadow),
        }

    def lost(self) -> Path:
        """A folder as `home` would be found if the power had gone now: of each file what was synced, under the names
        that were. Files that have a name and were never synced are empty."""
        self._pictures += 1
        picture, home = self._folder / f"picture-{self._pictures}", self._folder / f"home-{self._pictures}"
        shutil.copytree(self._shadow, picture, copy_function=os.link)
        home.mkdir(mode=0o700)
        root = picture / "root"
        if root.exists():
            _lay_out(picture, root.read_text(), home)
        return home


def _lay_out(picture: Path, key: str, place: Path) -> None:
    names = picture / "folders" / key
    for line in names.read_text().splitlines() if names.exists() else ():
        kind, of, name = line.split(" ", 2)
        if kind == "d":
            (place / name).mkdir(mode=0o700)
            _lay_out(picture, of, place / name)
            continue
        (place / name).touch(mode=0o600)
        if (file := picture / "files" / of).exists():
            shutil.copyfile(file, place / name)


def _built(folder: Path) -> Path:
    """Skips the test where it cannot be."""
    compiler, built = shutil.which("cc"), folder / "synced.so"
    if compiler is None:
        pytest.skip("no C compiler on this machine")
    command = [
        compiler,
        "-shared",
        "-fPIC",
        "-O1",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-o",
        str(built),
        str(_SOURCE),
        "-ldl",
    ]
    subprocess.run(command, check=True)
    return built
