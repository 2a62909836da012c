"""A server of a test's own: a real `clary up` on a throw-away home, whose processes can be killed one by one."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from botocore.config import Config

from clary.contract.folder import InstanceFolder, is_held
from clary.contract.processes import running
from whole_server import WholeServer, wait_until

SERVER = ("supervisor", "control", "edge-0", "launcher")
"""What `clary up` starts; agents and fork servers are not among them."""

_PATIENCE = 60.0
T = TypeVar("T")


def wait_for(probe: Callable[[], T], what: str, seconds: float = _PATIENCE) -> T:
    """The first true answer of `probe`."""
    return cast(T, wait_until(probe, seconds, f"still waiting for {what} after {seconds:.0f} s"))


class Machine(WholeServer):
    """A whole server whose processes a test knows by name and may kill."""

    def __init__(self, home: Path, environment: Mapping[str, str] | None = None, clary: Sequence[str] = ()) -> None:
        super().__init__(home, clary)
        self.environment |= environment or {}
        self.run = self.settings.run
        self._clients: dict[tuple[str, bool, int], Any] = {}

    def aws(self, service: str, retries: bool = True) -> Any:
        """A client with the root key; without `retries` an error is what happened to that one request."""
        this = service, retries, self.port
        if this not in self._clients:
            config = Config(read_timeout=60, connect_timeout=5, max_pool_connections=32)
            again = Config(retries={"mode": "standard", "total_max_attempts": 12})
            self._clients[this] = self.client(service, config=config.merge(again) if retries else config)
        return self._clients[this]

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
            self.ask("down")


def lives(pid: int) -> bool:
    """A zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False
