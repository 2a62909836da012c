"""What tests of container images have in common: the engine of the machine, and the smallest image it can build."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from clary.sandbox import engine
from clary.sandbox.engine import Engine, EngineError, NoEngine

_FILE = """FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
COPY program /opt/program/
ENV PATH=/opt/program:/bin
WORKDIR /opt/program
"""


def working_engine() -> Engine:
    """Skips the test where containers do not run."""
    try:
        found = engine.find()
        found.ask("info")
        return found
    except (NoEngine, EngineError) as error:
        return pytest.skip(f"no container engine works here: {error}")


def program(name: str) -> str:
    """Where it is; skips the test where it is not."""
    found = shutil.which(name)
    return found or pytest.skip(f"no {name} on this machine")


def busybox_image(folder: Path, programs: Mapping[str, str]) -> Path:
    """Puts into `folder` what an image is built of: a static busybox, and `programs` (name -> text) on its PATH."""
    busybox = shutil.which("busybox")
    if busybox is None or subprocess.run(["ldd", busybox], capture_output=True).returncode == 0:
        pytest.skip("no static busybox on this machine")
    shutil.copy(busybox, folder / "busybox")
    (folder / "program").mkdir()
    for name, text in programs.items():
        (folder / "program" / name).write_text(text)
        (folder / "program" / name).chmod(0o755)
    (folder / "Dockerfile").write_text(_FILE)
    return folder
