"""Other Pythons than Clary's own are found where machines have them, and asked what they are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from clary.images import pythons
from clary.images.base import ImageBuildFailed


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole PATH, of a user with nothing in the home."""
    for name in ("PYENV_ROOT", "XDG_DATA_HOME", "UV_PYTHON_INSTALL_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


def tells(path: Path, answer: str) -> None:
    """A program in the place of an interpreter."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{answer}\n")
    path.chmod(0o755)


def test_an_interpreter_is_taken_at_its_word_and_not_by_its_name(found: Path) -> None:
    tells(found / "python3.77", "echo 'python3.77: command not found' >&2; exit 127")  # as pyenv's shims are
    other = found.parent / ".pyenv" / "versions" / "3.77.1" / "bin" / "python3.77"
    tells(other, "echo False")
    last = found.parent / ".local" / "share" / "uv" / "python" / "cpython-3.77.0-linux" / "bin" / "python3.77"
    tells(last, "echo True")
    assert pythons.interpreter("3.77") == str(last)


def test_one_that_is_installed_later_is_found(found: Path) -> None:
    with pytest.raises(
        ImageBuildFailed, match=rf"for Python 3\.77, which was not found .* itself runs on {pythons.OWN}"
    ):
        pythons.interpreter("3.77")
    tells(found / "python3.77", "echo True")
    assert pythons.interpreter("3.77") == str(found / "python3.77")


def test_of_a_virtual_environment_what_it_is_made_of(found: Path) -> None:
    subprocess.run([pythons.base_python(), "-m", "venv", "--without-pip", str(found.parent / "venv")], check=True)
    (found / f"python{pythons.OWN}").symlink_to(found.parent / "venv" / "bin" / "python")
    assert pythons.find(pythons.OWN) == pythons.base_python()


def test_the_name_of_an_environment_says_its_python() -> None:
    assert pythons.version_of(pythons.environment("3.10")) == "3.10" != pythons.OWN
    assert pythons.version_of("tensorflow-2.15") == f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.mark.skipif(os.geteuid() != 0, reason="the tests run as an ordinary user already")
@pytest.mark.parametrize("place", ["", "python3.77"])
def test_one_that_everybody_may_write_is_not_even_asked(found: Path, place: str) -> None:
    tells(found / "python3.77", f": > {found.parent}/asked; echo True")
    assert pythons.find("3.77") == str(found / "python3.77")
    (found.parent / "asked").unlink()
    (found / place).chmod(0o777)
    assert pythons.find("3.77") is None
    assert not (found.parent / "asked").exists()
