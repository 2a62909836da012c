"""Run folders outside of their homes: whose they are, and when they go."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from clary.config import Settings
from clary.server import home, processes, run_folders


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of a deeply nested home, with a temporary folder of its own."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    made = Settings.load({}, home=tmp_path / ("x" * 100))
    home.prepare(made)
    assert not made.run.is_relative_to(made.home)
    return made


def test_one_whose_home_is_there_stays(settings: Settings) -> None:
    (settings.run / "control.sock").touch()
    run_folders.sweep()
    assert (settings.run / "control.sock").exists()


def test_one_whose_home_is_gone_goes(settings: Settings, tmp_path: Path) -> None:
    for name in ("control.sock", ".supervisor.pid.7"):
        (settings.run / name).touch()
    (settings.run / "supervisor.pid").write_text('{"pid": 1, "start": 1}')  # not the process that has the number
    shutil.rmtree(settings.home)
    run_folders.sweep()
    assert not [*(tmp_path / "tmp").iterdir()]
    home.prepare(settings)
    assert settings.run.is_dir()


def test_one_that_a_killed_sweep_had_put_aside_goes(settings: Settings, tmp_path: Path) -> None:
    settings.run.rename(f"{settings.run}.gone-77")
    run_folders.sweep()
    assert [*(tmp_path / "tmp").iterdir()], "its home is there"
    shutil.rmtree(settings.home)
    run_folders.sweep()
    assert not [*(tmp_path / "tmp").iterdir()]


def test_one_with_a_living_process_stays(settings: Settings) -> None:
    processes.record(settings.run / "agent-a.pid", os.getpid())
    shutil.rmtree(settings.home)
    run_folders.sweep()
    assert (settings.run / "agent-a.pid").exists()


@pytest.mark.parametrize("what", ["unmarked", "of another home", "open to others", "a link", "other files"])
def test_what_is_not_surely_ours_stays(settings: Settings, tmp_path: Path, what: str) -> None:
    folder, mark = settings.run, settings.run / "home"
    if what == "unmarked":
        mark.unlink()
    elif what == "of another home":
        mark.write_text("/nowhere")
    elif what == "open to others":
        folder.chmod(0o755)
    elif what == "a link":
        folder.rename(tmp_path / "elsewhere")
        folder.symlink_to(tmp_path / "elsewhere")
    else:
        folder.rename(folder.with_name("clary-of-somebody"))
        folder = folder.with_name("clary-of-somebody")
    before = sorted(folder.iterdir())
    shutil.rmtree(settings.home)
    run_folders.sweep()
    assert sorted(folder.iterdir()) == before


def test_an_orderly_end_leaves_nothing(settings: Settings, tmp_path: Path) -> None:
    run_folders.remove(settings)
    assert not [*(tmp_path / "tmp").iterdir()]
