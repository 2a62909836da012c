"""Servers to measure: a throw-away Clary, and any peer that is one command."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure import processes

_CLARY = [sys.executable, "-m", "clary.cli"]
_PATIENCE = 60.0  # seconds


@dataclass
class Clary:
    """A running server on a home of its own."""

    home: Path
    port: int
    environment: dict[str, str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def keys(self) -> dict[str, str]:
        """AWS_* variables of the root key."""
        words = ["env", "--endpoint-url", "--root", "--json"]
        answer = subprocess.run([*_CLARY, *words], env=self.environment, check=True, capture_output=True)
        return dict(json.loads(answer.stdout))

    def client(self, service: str) -> Any:
        """A boto3 client."""
        import boto3

        keys = self.keys()
        session = boto3.Session(
            keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"], region_name=keys["AWS_REGION"]
        )
        return session.client(service, endpoint_url=self.url)

    def pids(self, *names: str) -> set[int]:
        """The processes of these names and what is below them; of all when none is named."""
        found = processes.of_home(self.home)
        return processes.family(*(pid for name, pid in found.items() if not names or name.startswith(names)))


@contextmanager
def clary(prepare: Callable[[Path], None] | None = None, /, **settings: str) -> Iterator[Clary]:
    """settings: as in CLARY_<NAME>. `prepare` is given the home before the server starts. Image environments are built
    once and kept in the user's cache."""
    home = Path(tempfile.mkdtemp(prefix="clary-bench-"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CLARY_", "AWS_"))}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # without byte code every start compiles everything
    images = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "clary-benchmarks")
    environment |= {"CLARY_HOME": str(home), "CLARY_IMAGES_HOME": str(images)}
    environment |= {f"CLARY_{name.upper()}": value for name, value in settings.items()}
    try:
        if prepare is not None:
            prepare(home)
        up = [*_CLARY, "up", "--port", "0", "--detach", "--json"]
        answer = subprocess.run(up, env=environment, check=True, stdout=subprocess.PIPE)
        yield Clary(home, int(json.loads(answer.stdout)["port"]), environment)
    finally:
        subprocess.run([*_CLARY, "down"], env=environment, check=False, capture_output=True)
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def peer(
    command: Sequence[str], port: int, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A server of somebody else's, from its start until it takes connections, to its end. One thread per library, as
    for ours."""
    given = dict(os.environ) | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"} | dict(environment or {})
    given.pop("PYTHONDONTWRITEBYTECODE", None)
    process = subprocess.Popen(command, env=given, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _answering(process, port)
        yield process
    finally:
        process.terminate()
        process.wait(30)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _answering(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode} before it took a connection")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"{process.args!r} took no connection within {_PATIENCE:.0f} s")
