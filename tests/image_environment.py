"""A Workbench for tests: image environments are built once for this user and machine and found again by later runs."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from clary.config import Settings
from clary.images import environments
from clary.images.base import ImageBuildFailed
from clary.testing.algorithm_conformance import Workbench

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def scratch_settings() -> Settings:
    """The image environments of this user (named by their content: tests and servers share them), a home that is not
    there."""
    return Settings(
        home=Path(tempfile.gettempdir()) / f"clary-test-{os.getuid()}", images_home=Settings.load().images_home
    )


def scratch_environment(name: str) -> Path:
    """The environment of that name; skips the test where it cannot be built."""
    try:
        return environments.build(scratch_settings(), name, lambda line: None)
    except ImageBuildFailed as problem:
        pytest.skip(f"the image environment cannot be built here: {problem}")


def workbench(name: str, folder: Path, framework: str = "") -> Workbench:
    try:
        return Workbench(name, scratch_settings(), folder, framework)
    except ImageBuildFailed as problem:
        pytest.skip(f"the image environment cannot be built here: {problem}")


def shared_data(name: str) -> Path:
    """A folder of the sample data beside the project; skips the test where there is none."""
    path = SHARED_DATA / name
    if not path.is_dir():
        pytest.skip(f"no sample data: {path} is not there")
    return path
