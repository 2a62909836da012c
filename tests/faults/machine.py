"""A server of a test's own: a real `clary up` on a throw-away home, whose processes can be killed one by one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.config import Config

from clary.config import Settings
from clary.contract.folder import InstanceFolder, is_held
from clary.contract.processes import running
from image_environment import scratch_settings

SERVER = ("supervisor", "control", "edge-0", "launcher")
"""What `clary up` starts; agents and fork servers are not among them."""

_PATIENCE = 60.0
T = TypeVar("T")


def wait_for(probe: Callable[[], T], what: str, seconds: float = _PATIENCE) -> T:
    """The first true answer of `probe`."""
    deadline = time.monotonic() + seconds
    while not (answer := probe()):
        assert time.monotonic() < deadline, f"still waiting for {what} after {seconds:.0f} s"
        time.sleep(0.01)
    return answer


class Machine:
    """`environment`: CLARY_* variables of the server. `clary`: the command that is the command line, where it is not
    this Python's."""

    def __init__(self, home: Path, environment: Mapping[str, str] | None = None, clary: tuple[str, ...] = ()) -> None:
        self.home = home
        self.run = Settings.load({}, home=home).run
        self._clary = clary or (sys.executable, "-m", "clary.cli")
        images = {"CLARY_IMAGES_HOME": str(scratch_settings().images_home)}
        self._environment = {**os.environ, **images, **(environment or {})}
        self._clients: dict[tuple[str, bool], Any] = {}
        self._key: dict[str, str] = {}
        self.url = ""

    def clary(self, *words: str) -> dict[str, Any]:
        """A command's --json answer. Raises CalledProcessError."""
        command = [*self._clary, *words, "--home", str(self.home), "--json"]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=_PATIENCE)
        if done.returncode:
            raise AssertionError(f"{words} failed: {done.stdout}{done.stderr}")
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def up(self, port: int = 0) -> None:
        """Starts the server; on the port that it had before, unless another is given."""
        port = port or int(self.url.rpartition(":")[2] or 0)
        facts = self.clary("up", "--detach", "--port", str(port))
        if facts["url"] != self.url:
            self._clients.clear()
        self.url = facts["url"]
        self._key = self._key or self.clary("env", "--root")

    def down(self) -> None:
        self.clary("down")

    def aws(self, service: str, retries: bool = True) -> Any:
        """A client with the root key; without `retries` an error is what happened to that one request."""
        client = self._clients.get((service, retries))
        if client is None:
            attempts = {"mode": "standard", "total_max_attempts": 12 if retries else 1}
            client = self._clients[service, retries] = boto3.client(
                service,
                endpoint_url=self.url,
                region_name="us-east-1",
                aws_access_key_id=self._key["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=self._key["AWS_SECRET_ACCESS_KEY"],
                config=Config(retries=attempts, read_timeout=60, connect_timeout=5, max_pool_connections=32),  # type: ignore[arg-type]
            )
        return client

    def pid(self, name: str) -> int | None:
        """Of the living process that a pid file names."""
        return running(self.run / f"{name}.pid")

    def names(self, start: str = "") -> list[str]:
        """Names of living processes of this home, such as `agent-INSTANCE`."""
        files = sorted(self.run.glob(f"{start}*.pid"))
        return [path.stem for path in files if running(path) is not None]

    def pids(self) -> list[int]:
        """Of all living processes of this home that have a pid file."""
        return [pid for name in self.names() if (pid := self.pid(name)) is not None]

    def kill(self, *names: str) -> None:
        """SIGKILL, and waits until they are gone."""
        pids = [pid for name in names if (pid := self.pid(name)) is not None]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not any(lives(pid) for pid in pids), f"the end of {names}")

    def kill_server(self) -> None:
        """The supervisor first, so that nothing is started again."""
        self.kill(*SERVER)

    def instances(self) -> list[InstanceFolder]:
        return [InstanceFolder(path) for path in sorted((self.home / "instances").iterdir())]

    def running_instances(self) -> list[str]:
        return [each.path.name for each in self.instances() if is_held(each.lock)]

    def groups(self) -> list[Path]:
        """The cgroups of all instances that there are folders of."""
        listed = [each.groups.read_text().splitlines() for each in self.instances() if each.groups.exists()]
        return [Path(line) for lines in listed for line in lines]

    def end(self) -> None:
        """Leaves nothing running, however the test ended."""
        if self.run.is_dir():
            self.down()


def lives(pid: int) -> bool:
    """A zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False
