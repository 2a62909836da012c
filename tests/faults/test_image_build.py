"""The first use of an image: what clients see while its environment is built, and kills in the midst of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from . import work
from .conftest import Start
from .machine import Machine, wait_for

pytestmark = pytest.mark.slow


def message(machine: Machine, name: str) -> str:
    return str(work.job(machine, name)["SecondaryStatusTransitions"][-1]["StatusMessage"])


def test_jobs_wait_for_one_build_which_blocks_nothing(start: Start, tmp_path: Path) -> None:
    if not shutil.which("uv"):
        pytest.skip("without uv a build takes minutes")
    machine = start({"CLARY_IMAGES_HOME": str(tmp_path / "images")})
    names = [f"first-{number}" for number in range(10)]  # more than the loop has threads
    for name in names:
        work.train(machine, name)
    for name in names:
        wait_for(lambda name=name: message(machine, name) == "Downloading the training image", name)
    machine.kill("control")
    machine.aws("sagemaker").stop_training_job(TrainingJobName=names[-1])
    assert work.job(machine, names[-1])["TrainingJobStatus"] == "Stopped"
    machine.kill_server()
    machine.up()
    for name in names[:-1]:
        described = work.ended(machine, name)
        assert described["TrainingJobStatus"] == "Completed", described.get("FailureReason")
    built = [path for path in (tmp_path / "images" / "environments").iterdir() if path.is_dir()]
    assert len(built) == 1


def test_shutting_down_ends_a_build(start: Start, tmp_path: Path) -> None:
    if not shutil.which("uv"):
        pytest.skip("without uv a build takes minutes")
    images = tmp_path / "images"
    machine = start({"CLARY_IMAGES_HOME": str(images)})
    work.train(machine, "job")
    wait_for(lambda: builders(images), "the build")
    machine.down()
    assert builders(images) == []


def builders(images: Path) -> list[str]:
    """The commands that build in `images` now."""
    found = []
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                words = (each / "cmdline").read_bytes().split(b"\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if any(word.startswith(str(images / "environments").encode()) for word in words):
                found.append(b" ".join(words).decode())
    return found
