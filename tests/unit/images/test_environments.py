"""Environments are built once, in place, and survive a crash half way; the inside tree holds the inside only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from clary.config import Settings
from clary.contract.instance import Image
from clary.images import environments, inside, shelf
from clary.images.base import ImageBuildFailed
from clary.images.local import LocalImages
from image_environment import scratch_settings
from whole_server import wait_until

URI = "sagemaker-xgboost:1.7-1"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", images_home=tmp_path / "images")


def test_two_who_ask_at_once_build_once(settings: Settings, fake_uv: Path) -> None:
    code = "import sys; from pathlib import Path; from clary.config import Settings\n"
    code += "from clary.images import environments\n"
    code += "environments.build(Settings(Path(sys.argv[1]), images_home=Path(sys.argv[2])), 'xgboost', print)"
    command = [sys.executable, "-c", code, str(settings.home), str(settings.images_home)]
    both = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(30) for process in both] == [0, 0]
    calls = fake_uv.read_text().splitlines()
    assert [call.split()[0] for call in calls] == ["venv", "pip"]
    assert "--require-hashes" in calls[1]
    assert "--offline" in calls[1]
    assert all(call.endswith("writes=yes") for call in calls)


def test_wheels_of_folders_and_of_pytorch_s_own_index(
    settings: Settings, fake_uv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uv is told what pip is; where no configured source has the builds for the CPU, their own index is asked."""
    monkeypatch.delenv("UV_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_FIND_LINKS", "/wheels /more")
    fake_uv.with_name("fail-install").touch()
    with pytest.raises(ImageBuildFailed):
        environments.build(settings, "pytorch", lambda line: None)
    installs = [call for call in fake_uv.read_text().splitlines() if call.startswith("pip")]
    assert all("--find-links /wheels --find-links /more" in call for call in installs)
    assert ["--offline" in call for call in installs] == [True, False, False]
    assert ["--torch-backend cpu" in call for call in installs] == [False, False, True]


def test_a_half_built_environment_is_built_anew(settings: Settings, fake_uv: Path) -> None:
    place = environments.path(settings, "xgboost")
    (place / "bin").mkdir(parents=True)
    (place / "leftover").touch()
    images = LocalImages(settings)
    image = images.resolve(URI)
    assert not images.ready(image)
    images.build(image)
    assert images.ready(image)
    assert not (place / "leftover").exists()
    images.build(image)
    assert len(fake_uv.read_text().splitlines()) == 2


def test_a_failed_build_says_why_and_what_to_do(settings: Settings, fake_uv: Path) -> None:
    fake_uv.with_name("fail").touch()
    lines: list[str] = []
    images = LocalImages(settings, lines.append)
    image = images.resolve(URI)
    with pytest.raises(ImageBuildFailed, match=r"package index(?s:.*)no index can be reached"):
        images.build(image)
    assert not Path(image.environment).exists()
    assert lines[0].startswith("Building image environment xgboost in ")
    fake_uv.with_name("fail").unlink()
    images.build(image)
    assert images.ready(image)


def test_the_real_environment_has_what_is_preloaded_and_nothing_slow() -> None:
    settings = scratch_settings()
    images = LocalImages(settings)
    image = images.resolve(URI)
    try:
        images.build(image)
    except ImageBuildFailed as problem:
        pytest.skip(f"the image environment cannot be built here: {problem}")
    code = "import clary.algorithms.xgboost.spec as s, importlib, sys\n"
    code += "for module in s.PRELOAD: importlib.import_module(module)\n"
    code += "print(sorted({'pandas', 'sklearn', 'matplotlib', 'botocore'} & set(sys.modules)))"
    python = Path(image.environment, "bin", "python")
    variables = {"PYTHONPATH": str(inside.tree(settings))}
    ran = subprocess.run([python, "-c", code], env=variables, capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == ("[]\n", "")


def test_the_inside_is_the_inside_only(settings: Settings) -> None:
    place = inside.tree(settings)
    assert place == inside.tree(settings)
    assert {path.name for path in place.iterdir()} == {"clary"}
    rooms = {path.name for path in (place / "clary").iterdir() if path.name != "__pycache__"}
    assert rooms == {"__init__.py", *inside.ROOMS}
    code = "import clary.runner.training, clary.algorithms.registry as r; print(r.names(), clary.__file__)"
    ran = subprocess.run(
        [sys.executable, "-S", "-c", code], env={"PYTHONPATH": str(place)}, capture_output=True, text=True, check=True
    )
    assert ran.stdout == f"('xgboost',) {place}/clary/__init__.py\n"
    compiled = list(place.rglob("*.pyc"))
    assert len(compiled) == len(list(place.rglob("*.py")))
    assert all(path.stat().st_mode & 0o004 for path in place.rglob("*"))


def test_prepare_builds_in_the_background_once_and_tells_all_who_wait(settings: Settings, fake_uv: Path) -> None:
    built = threading.Event()
    images = LocalImages(settings, built=built.set)
    image = images.resolve(URI)
    fake_uv.with_name("fail").touch()
    assert not images.prepare(image)
    assert built.wait(30)
    for _ in range(2):
        with pytest.raises(ImageBuildFailed, match="no index can be reached"):
            images.prepare(image)
    fake_uv.with_name("fail").unlink()
    fresh = LocalImages(settings, built=built.set)
    built.clear()
    assert not fresh.prepare(image)
    fresh.prepare(image)
    assert built.wait(30)
    assert fresh.prepare(image)
    assert sum(line.startswith("venv") for line in fake_uv.read_text().splitlines()) == 2


def test_what_is_in_use_is_not_removed_and_leftovers_are(settings: Settings, fake_uv: Path) -> None:
    place = environments.build(settings, "xgboost", lambda line: None)
    assert [each.name for each in shelf.listing(settings) if each.ready] == ["xgboost"]
    old = place.with_name("xgboost-0123456789abcdef")
    place.rename(old)
    assert shelf.leftovers(settings) == []  # a version that knows it may have used it
    os.utime(old / ".complete", (0, 0))
    image = Image("framework", "x", "xgboost", str(old))
    assert LocalImages(settings).ready(image)  # as such a version does before each job
    assert shelf.leftovers(settings) == []
    os.utime(old / ".complete", (0, 0))
    assert shelf.leftovers(settings) == [old]
    with subprocess.Popen([sys.executable, "-c", "input()", f"{old}/bin/python"], stdin=subprocess.PIPE) as user:
        with pytest.raises(shelf.InUse, match=f"in use by process {user.pid}"):
            shelf.remove(old)
        user.communicate(b"\n")
    assert environments.ready(old)
    shelf.remove(old)
    assert shelf.leftovers(settings) == []


def test_a_ctrl_c_ends_the_installer_and_leaves_nothing(settings: Settings, fake_uv: Path) -> None:
    fake_uv.with_name("endless").touch()
    # What runs in the background ignores the signal; a terminal's foreground does not.
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code += "from clary.cli import main; sys.exit(main(['images', 'build', 'xgboost']))"
    where = {**os.environ, "CLARY_HOME": str(settings.home), "CLARY_IMAGES_HOME": str(settings.images_home)}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, env=where, stderr=subprocess.PIPE, text=True, start_new_session=True) as building:
        assert building.stderr is not None
        lines = iter(building.stderr.readline, "")
        assert "Installing its packages\n" in lines
        wait_until(lambda: "pip install" in fake_uv.read_text(), 60)
        os.killpg(building.pid, signal.SIGINT)
        assert list(lines) == ["clary: Interrupted. Nothing is left half built.\n"]
    assert building.returncode == 130
    assert not environments.path(settings, "xgboost").exists()


def test_the_command_lists_builds_and_removes(settings: Settings, fake_uv: Path) -> None:
    def clary(*words: str) -> subprocess.CompletedProcess[str]:
        where = {**os.environ, "CLARY_HOME": str(settings.home), "CLARY_IMAGES_HOME": str(settings.images_home)}
        command = [sys.executable, "-m", "clary.cli", "images", *words]
        return subprocess.run(command, env=where, capture_output=True, text=True, timeout=60)

    pulled = clary("pull", "sagemaker-scikit-learn:1.2-1-cpu-py3")
    assert pulled.returncode == 0, pulled.stderr
    assert "Building image environment scikit-learn" in pulled.stderr
    assert "this runs on scikit-learn 1.7" in pulled.stdout
    states = {each["name"]: each["ready"] for each in json.loads(clary("ls", "--json").stdout)["environments"]}
    assert states["scikit-learn"] and not states["xgboost"]
    refused = clary("pull", "mxnet-training:1.9.0-cpu-py38")
    assert refused.returncode == 1 and "MXNet" in refused.stderr
    assert "There is no environment nothing" in clary("rm", "nothing").stderr
    assert "is for Python 3.99, which was not found" in clary("build", "python-3.99").stderr
    assert clary("rm", "scikit-learn").returncode == 0
    assert not any(each["ready"] for each in json.loads(clary("ls", "--json").stdout)["environments"])
    assert clary("gc").stdout == "Removed 0 environment(s), 0 MiB.\n"
