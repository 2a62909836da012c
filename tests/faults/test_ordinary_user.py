"""A server that is not root: jobs are isolated all the same, or the log says that they are not."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import clary

from . import work
from .machine import Machine, wait_for

ROOT = Path(clary.__file__).parents[2]
PYTHON = "/usr/bin/python3"
USER = 65534
PREPARE = """
import sys
from pathlib import Path
from clary.config import Settings
from clary.images import environments, inside
settings = Settings(home=Path("/nowhere"), images_home=Path(sys.argv[1]))
environments.build(settings, "xgboost", print)
inside.tree(settings)
"""


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder of the user's with a Python and images that the user can read; this one's may be private to root."""
    if os.geteuid() != 0 or not shutil.which("setpriv") or not shutil.which("uv"):
        pytest.skip("needs root, setpriv and uv")
    with tempfile.TemporaryDirectory(prefix="clary-user-") as folder:
        here = Path(folder)
        here.chmod(0o755)
        python = f"{here}/venv/bin/python"
        options = ["--no-deps", "--require-hashes", "--link-mode", "copy", "-r", f"{ROOT}/locks/core.txt"]
        steps = [
            ["uv", "venv", "-q", "--python", PYTHON, f"{here}/venv"],
            ["uv", "pip", "install", "-q", "--python", python, *options],
            [python, "-c", PREPARE, f"{here}/images"],
        ]
        shutil.copytree(ROOT / "src", here / "src", ignore=shutil.ignore_patterns("__pycache__"))
        for step in steps:
            done = subprocess.run(step, env={**os.environ, "PYTHONPATH": f"{here}/src"}, capture_output=True, text=True)
            if done.returncode:
                pytest.skip(f"no environment for an ordinary user can be made here: {done.stdout}{done.stderr}")
        for path in (here / "images", *(here / "images").rglob("*")):
            os.chown(path, USER, USER, follow_symlinks=False)
        yield here


def server(place: Path, isolation: str) -> Machine:
    user = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", f"{place}/venv/bin/python")
    home = place / isolation
    home.mkdir()
    os.chown(home, USER, USER)
    environment = {
        "HOME": str(home),
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": f"{place}/src",
        "CLARY_IMAGES_HOME": f"{place}/images",
        "CLARY_ISOLATION": isolation,
    }
    return Machine(home, environment, (*user, "-m", "clary.cli"))


@pytest.mark.slow
@pytest.mark.parametrize("isolation", ["auto", "plain"])
def test_the_whole_story_as_an_ordinary_user(place: Path, isolation: str) -> None:
    machine = server(place, isolation)
    try:
        machine.up()
        assert Path(f"/proc/{machine.pid('control')}").stat().st_uid == USER
        work.prepare(machine)
        resources = {"InstanceType": "ml.t3.medium", "InstanceCount": 1, "VolumeSizeInGB": 1}
        work.train(machine, "job", 50, ResourceConfig=resources)
        work.ended(machine, "job")
        work.check_whole(machine, "job", 50)
        isolated = not any("NOT isolated" in line for line in work.lines(machine, "job"))
        assert isolated == (isolation == "auto")
        model = work.job(machine, "job")["ModelArtifacts"]["S3ModelArtifacts"]
        work.serve(machine, "e", model, InstanceType="ml.t2.medium")
        assert work.settled(machine, "e")["EndpointStatus"] == "InService"
        assert float(work.invoke(machine, "e")) > 0
        assert sees_the_host(machine) is not isolated
        machine.aws("sagemaker").delete_endpoint(EndpointName="e")
        wait_for(lambda: machine.instances() == [], "the endpoint's end")
    finally:
        machine.end()


def sees_the_host(machine: Machine) -> bool:
    """Whether what the fork server started has the host's files and network."""
    (name,) = machine.names("fork-")
    server = machine.pid(name)
    command = Path(f"/proc/{server}/cmdline").read_bytes()
    theirs = {namespaces(pid) for pid in processes() if pid != server and command_of(pid) == command}
    assert theirs, "no model server was found"
    return namespaces(os.getpid()) in theirs


def processes() -> list[int]:
    return [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()]


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def namespaces(pid: int) -> tuple[int, int]:
    return Path(f"/proc/{pid}/ns/net").stat().st_ino, Path(f"/proc/{pid}/ns/mnt").stat().st_ino
