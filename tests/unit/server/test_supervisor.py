"""The supervisor over real processes: small programs stand in for the server's."""

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

from clary.contract.processes import start_ticks
from clary.server import processes

# A server of one program that answers HTTP on the inherited socket, and whatever others the test asks for.
SCRIPT = """
import json, logging, os, socket, sys
from pathlib import Path
from clary.server.listening import listening
from clary.server.programs import Program
from clary.server.supervisor import StartFailed, Supervisor
base, others = Path(sys.argv[1]), json.loads(sys.argv[2])
logging.basicConfig(filename=base / "logs" / "supervisor.log", level=logging.INFO)
ANSWER = '''
import os, socket
listener = socket.socket(fileno=int(os.environ["FD"]))
while True:
    connection, _ = listener.accept()
    connection.recv(65536)
    connection.sendall(f"HTTP/1.1 {os.environ['STATUS']} X\\\\r\\\\nContent-Length: 0\\\\r\\\\n\\\\r\\\\n".encode())
    connection.close()
'''
with listening("127.0.0.1", 0, 1) as (listener,):
    number = listener.fileno()
    programs = [Program(name, tuple(command), grace=grace) for name, command, grace in others]
    programs.insert(0, Program("edge-0", (sys.executable, "-c", ANSWER), (number,)))
    environment = {**os.environ, "FD": str(number), "STATUS": sys.argv[3]}
    supervisor = Supervisor(programs, listener.getsockname()[:2], environment, base, base / "run", base / "logs")
    try:
        supervisor.supervise(lambda: print(json.dumps({"port": listener.getsockname()[1]}), flush=True))
    except StartFailed as error:
        print(json.dumps({"failed": str(error)}), flush=True)
"""
SLEEP = [sys.executable, "-c", "import signal; signal.pause()"]


def wait_until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + 20
    tick = threading.Event()
    while time.monotonic() < deadline:
        if value := condition():
            return value
        tick.wait(0.005)
    pytest.fail(f"never: {what}")


class Server:
    def __init__(self, base: Path, others: list[Any], status: int) -> None:
        self.base = base
        for name in ("run", "logs"):
            (base / name).mkdir()
        command = [sys.executable, "-c", SCRIPT, str(base), json.dumps(others), str(status)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def said(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        value: dict[str, Any] = json.loads(self.process.stdout.readline())
        return value

    def pid(self, name: str) -> processes.Process | None:
        return processes.recorded(self.base / "run" / f"{name}.pid")

    def log(self, name: str = "supervisor") -> str:
        return (self.base / "logs" / f"{name}.log").read_text()


Start = Callable[..., Server]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    servers: list[Server] = []

    def start(*others: Any, status: int = 403) -> Server:
        servers.append(Server(tmp_path, list(others), status))
        return servers[-1]

    yield start
    for server in servers:
        server.process.kill()
        server.process.wait()
        if server.process.stdout:
            server.process.stdout.close()


def test_ready_means_answered_and_each_program_has_a_pid_file(start: Start) -> None:
    server = start(["control", SLEEP, 5])
    assert server.said()["port"] > 0
    for name in ("edge-0", "control"):
        found = server.pid(name)
        assert found is not None
        assert found.start == start_ticks(found.pid)


def test_what_is_killed_is_started_again_and_the_reason_is_logged(start: Start) -> None:
    server = start(["control", SLEEP, 5])
    server.said()
    first = server.pid("control")
    assert first is not None
    os.kill(first.pid, signal.SIGKILL)
    second = wait_until(lambda: (found := server.pid("control")) and found.pid != first.pid and found, "a new one")
    assert second.lives()
    wait_until(lambda: "control ended with signal SIGKILL" in server.log(), "the reason")


def test_a_program_that_keeps_ending_is_started_ever_more_slowly(start: Start) -> None:
    server = start(["control", SLEEP, 5], ["flaky", SLEEP, 5])
    server.said()
    seen: set[int] = set()
    for _ in range(3):
        found = wait_until(lambda: (now := server.pid("flaky")) and now.pid not in seen and now, "another start")
        seen.add(found.pid)
        os.kill(found.pid, signal.SIGKILL)
    wait_until(lambda: "again in 0.2 s" in server.log(), "a longer wait")
    assert "again in 0.0 s" in server.log()
    assert "again in 0.1 s" in server.log()


def test_a_start_that_cannot_succeed_is_given_up_with_the_log(start: Start) -> None:
    server = start(["control", [sys.executable, "-c", "raise SystemExit('no such database')"], 5], status=503)
    failed = server.said()["failed"]
    assert "control ended with exit status 1" in failed
    assert "no such database" in failed
    assert server.process.wait(20) == 0
    assert list((server.base / "run").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_goes_in_order_and_leaves_nothing(start: Start, number: int) -> None:
    tell = "import signal, sys, time; signal.signal(15, lambda *_: (print(time.monotonic()), sys.exit()))\n"
    speak = [sys.executable, "-u", "-c", tell + "print('up')\nwhile True: signal.pause()"]
    server = start(["one", speak, 5], ["two", speak, 5])
    server.said()
    wait_until(lambda: "up" in server.log("one") and "up" in server.log("two"), "both up")
    pids = [found.pid for name in ("edge-0", "one", "two") if (found := server.pid(name))]
    server.process.send_signal(number)
    assert server.process.wait(20) == 0
    assert [start_ticks(pid) for pid in pids] == [None] * 3
    assert list((server.base / "run").iterdir()) == []
    assert float(server.log("one").split()[1]) < float(server.log("two").split()[1])


def test_what_does_not_end_is_killed_after_its_grace(start: Start) -> None:
    stubborn = [
        sys.executable,
        "-u",
        "-c",
        "import signal; signal.signal(15, signal.SIG_IGN); print('up')\nsignal.pause()",
    ]
    server = start(["control", stubborn, 0.2])
    server.said()
    wait_until(lambda: "up" in server.log("control"), "up")
    server.process.terminate()
    assert server.process.wait(20) == 0
    assert "control had to be killed" in server.log()


def test_children_end_with_a_killed_supervisor(start: Start) -> None:
    server = start(["control", SLEEP, 5])
    server.said()
    pids = [found.pid for name in ("edge-0", "control") if (found := server.pid(name))]
    assert len(pids) == 2
    server.process.kill()
    wait_until(lambda: all(start_ticks(pid) is None for pid in pids), "they end")
