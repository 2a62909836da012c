"""Other Pythons than Clary's own are found where machines have them, and asked what they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from clary.images import pythons


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole PATH, of a user with nothing in the home."""
    for name in ("PYENV_ROOT", "XDG_DATA_HOME", "UV_PYTHON_INSTALL_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    pythons._found.cache_clear()
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


def test_a_virtual_environment_is_none(found: Path) -> None:
    subprocess.run([pythons.base_python(), "-m", "venv", "--without-pip", str(found.parent / "venv")], check=True)
    (found / f"python{pythons.OWN}").symlink_to(found.parent / "venv" / "bin" / "python")
    assert pythons.interpreter(pythons.OWN) == pythons.base_python()
    assert pythons.version_of(pythons.environment("3.10")) == "3.10" != pythons.OWN
    assert pythons.version_of("tensorflow-2.15") == f"{sys.version_info.major}.{sys.version_info.minor}"
