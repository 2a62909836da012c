"""Folders, the lock, listening sockets, pid files."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from clary.config import Settings
from clary.server import home, processes
from clary.server.listening import PortTaken, listening
from clary.server.programs import environment


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.load({}, home=tmp_path / "home")


def test_folders_are_this_users_alone(settings: Settings) -> None:
    home.prepare(settings)
    home.prepare(settings)
    for folder in (settings.home, settings.secrets, settings.run, settings.data):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_run_folder_that_others_can_enter_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "shared"))
    deep = Settings.load({}, home=tmp_path / ("x" * 100))
    deep.run.mkdir(parents=True)
    deep.run.chmod(0o777)
    with pytest.raises(home.HomeError, match="this user alone"):
        home.prepare(deep)


def test_a_home_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(home.HomeError, match="--home"):
        home.prepare(Settings.load({}, home=tmp_path / "file" / "home"))


def test_a_second_supervisor_is_told_who_is_there(settings: Settings) -> None:
    home.prepare(settings)
    processes.record(home.supervisor_file(settings), os.getpid(), port=7467)
    with (
        home.locked(settings),
        pytest.raises(home.HomeError, match=f"process {os.getpid()}, port 7467"),
        home.locked(settings),
    ):
        pass
    with home.locked(settings):
        pass


def test_a_taken_port_is_refused_even_if_its_owner_shares_it() -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=f"Port {port} is taken.*--port"), listening("127.0.0.1", port, 2):
            pass


def test_several_sockets_share_a_port_and_the_port_is_ours_again_at_once() -> None:
    with listening("127.0.0.1", 0, 3) as sockets:
        port = sockets[0].getsockname()[1]
        assert {each.getsockname()[1] for each in sockets} == {port}
        client = socket.create_connection(("127.0.0.1", port))
    with listening("127.0.0.1", port, 1):
        client.close()


def test_an_unknown_host_is_said(settings: Settings) -> None:
    with pytest.raises(PortTaken, match="no address"), listening("no.such.host.invalid", 0, 1):
        pass


def test_a_pid_file_names_one_process_and_not_its_successor(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    path = tmp_path / "a.pid"
    processes.record(path, child.pid)
    found = processes.recorded(path)
    assert found is not None
    assert found.pid == child.pid
    path.write_text(path.read_text().replace(str(found.start), str(found.start - 1)))
    assert processes.recorded(path) is None
    assert processes.end([processes.Process(child.pid, found.start - 1, {})], 10) == []
    assert child.poll() is None
    assert processes.end([found], 10) == []
    assert child.wait(20) == -signal.SIGTERM


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"pid": "x", "start": 1}'])
def test_a_damaged_pid_file_names_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.pid").write_text(text)
    assert processes.recorded(tmp_path / "a.pid") is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("REGION", "Mars"),
        ("ACCOUNT", "12"),
        ("PORT", "-1"),
        ("EDGES", "0"),
        ("JOB_SLOTS", "-1"),
        ("JOB_SLOTS", "2.5"),
        ("CLOCK_WINDOW_SECONDS", "nan"),
        ("DESCRIBE_HOLD_SECONDS", "26"),
        ("DESCRIBE_HOLD_SECONDS", "nan"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=rf"^CLARY_{name}='{text}' is not "):
        Settings.load({f"CLARY_{name}": text})


def test_variables_that_are_no_settings_are_found() -> None:
    assert Settings.unknown({"CLARY_PROT": "1", "CLARY_PORT": "2", "CLARY_NO_UV": "1", "PATH": ""}) == ["CLARY_PROT"]


def test_programs_see_the_settings(settings: Settings) -> None:
    given = {"PATH": "/bin", "PYTHONDONTWRITEBYTECODE": "1", "CLARY_DATABASE_URL": "stale"}
    values = environment(settings, given)
    assert "PYTHONDONTWRITEBYTECODE" not in values
    assert Settings.load(values) == settings
