"""A whole server, started, killed in parts and stopped by the commands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clary.config import Settings
from clary.contract.processes import start_ticks
from clary.server import processes
from clary.server.readiness import await_answer


@pytest.fixture(params=["home"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    return Settings.load({}, home=tmp_path / request.param)


@pytest.fixture
def command(settings: Settings) -> list[str]:
    return [sys.executable, "-m", "clary.cli"]


@pytest.fixture
def environment(settings: Settings, tmp_path: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CLARY_", "AWS_"))}
    return inherited | {"CLARY_HOME": str(settings.home), "CLARY_IMAGES_HOME": str(tmp_path / "images")}


@pytest.fixture
def clary(command: list[str], environment: dict[str, str], settings: Settings) -> Iterator[Callable[..., Any]]:
    """clary(*words) runs a command and returns its JSON."""

    def run(*words: str) -> Any:
        done = subprocess.run([*command, *words, "--json"], env=environment, capture_output=True, text=True, timeout=90)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    yield run
    subprocess.run([*command, "down"], env=environment, capture_output=True, timeout=90)


def pid(settings: Settings, name: str) -> int | None:
    found = processes.recorded(settings.run / f"{name}.pid")
    return found.pid if found else None


def wait_until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 30
    tick = threading.Event()
    while time.monotonic() < deadline:
        if value := condition():
            return value
        tick.wait(0.01)
    return pytest.fail("it never happened")


def test_up_answers_and_down_leaves_nothing(clary: Callable[..., Any], settings: Settings) -> None:
    started = clary("up", "--detach", "--port", "0")
    address = ("127.0.0.1", started["port"])
    assert await_answer(address, lambda: False, 1)
    assert clary("status")["answers"]
    pids = [pid(settings, name) for name in ("supervisor", "control", "edge-0", "launcher")]
    assert None not in pids
    assert clary("down")["stopped"]
    assert [start_ticks(each) for each in pids if each] == [None] * 4
    assert not list(settings.run.glob("*"))
    assert not await_answer(address, lambda: False, 0.05)


@pytest.mark.parametrize("settings", ["a-home-too-deep-for-the-path-of-a-socket-" * 3], indirect=True)
def test_down_leaves_nothing_in_the_temporary_folder(clary: Callable[..., Any], settings: Settings) -> None:
    clary("up", "--detach", "--port", "0")
    assert not settings.run.is_relative_to(settings.home)
    assert settings.run.is_dir()
    assert clary("down")["stopped"]
    assert not settings.run.exists()


@pytest.mark.parametrize("name", ["control", "edge-0"])
def test_a_killed_part_comes_back(clary: Callable[..., Any], settings: Settings, name: str) -> None:
    started = clary("up", "--detach", "--port", "0")
    before = pid(settings, name)
    assert before is not None
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: pid(settings, name) not in (None, before))
    assert await_answer(("127.0.0.1", started["port"]), lambda: False, 30)


def test_a_home_whose_supervisor_was_killed_starts_again(clary: Callable[..., Any], settings: Settings) -> None:
    port = clary("up", "--detach", "--port", "0")["port"]
    pids = [found for name in ("supervisor", "control", "edge-0") if (found := pid(settings, name))]
    os.kill(pids[0], signal.SIGKILL)
    wait_until(lambda: not any(start_ticks(each) for each in pids))
    assert clary("up", "--detach", "--port", str(port))["port"] == port


def test_in_the_foreground_it_says_where_it_is_and_ends_with_ctrl_c(
    command: list[str], environment: dict[str, str], clary: Callable[..., Any]
) -> None:
    with subprocess.Popen(
        [*command, "up", "--port", "0"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        banner = ""
        while "Stop it with Ctrl-C" not in banner:
            banner += process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    assert "is ready after" in banner
    assert "http://127.0.0.1:" in banner
    assert "clary run" in banner
    assert (rest, errors, process.returncode) == ("Clary has stopped.\n", "", 0)
