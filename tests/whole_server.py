"""A whole server as a user has it: `clary up` on a home of its own and a free port; clients of every kind for it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from clary.config import Settings
from clary.contract.processes import start_ticks
from image_environment import scratch_settings

ROOT = Path(__file__).resolve().parents[1]
# What a developer's shell may hold and what no client of a test may see.
_FOREIGN = ("CLARY_", "AWS_", "BOTOCORE_", "SAGEMAKER_", "PYTHONDONTWRITEBYTECODE")  # the last: to start takes seconds
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "NO_PROXY", "no_proxy")

Done = subprocess.CompletedProcess[str]


class WholeServer:
    """One home. Between `up` and `down` a server runs on it, and `url` is where; each may be called many times.
    `command` is the command line, where it is not this Python's."""

    def __init__(self, home: Path, command: Sequence[str] = (), **settings: str) -> None:
        self.home = home
        self.command = [*command] or [sys.executable, "-m", "clary.cli"]
        self.environment = {name: value for name, value in os.environ.items() if _kept(name)}
        self.environment |= {"CLARY_HOME": str(home), "CLARY_IMAGES_HOME": str(scratch_settings().images_home)}
        self.environment |= {f"CLARY_{name.upper()}": value for name, value in settings.items()}
        self.settings = Settings.load(self.environment)
        self.port = 0
        self._sessions: dict[bool, boto3.Session] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ca(self) -> Path:
        """The bundle that trusts the server's certificate; `clary env` writes it."""
        return self.home / "ca-bundle.pem"

    def clary(self, *words: str, timeout: float = 90, **environment: str) -> Done:
        """A command of the command line, whatever its exit code."""
        return _run([*self.command, *words], self.environment | environment, timeout)

    def ask(self, *words: str) -> Any:
        """The JSON that a command answers; the command must succeed."""
        done = self.clary(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def up(self, port: int = 0) -> None:
        """The same port again after a crash or a stop, so that clients stay what they are."""
        self.port = self.ask("up", "--detach", "--port", str(port or self.port))["port"]

    def down(self) -> None:
        """Stops the server, and checks that not one process of it is left."""
        before = self.processes()
        self.ask("down")
        left = [describe(pid) for pid, start in before.items() if start_ticks(pid) == start]
        assert not left, f"`clary down` left processes behind: {left}"
        assert not self.processes(), "there are processes of this home that nobody had known of"

    def processes(self) -> dict[int, int]:
        """pid -> start ticks of all that belongs to this home: what names it in its environment, its command line or
        its working folder, with all descendants."""
        parents = {pid: parent for pid in _pids() if (parent := _parent(pid)) is not None}
        found = {pid for pid in parents if self._names_home(pid)} - {os.getpid()}
        grown = True
        while grown:
            more = {pid for pid, parent in parents.items() if parent in found} - found
            found |= more
            grown = bool(more)
        return {pid: start for pid in found if (start := start_ticks(pid)) is not None}

    def _names_home(self, pid: int) -> bool:
        place = os.fsencode(self.home)
        try:
            texts = [Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ")]
            texts.append(os.fsencode(Path(f"/proc/{pid}/cwd").readlink()))
        except OSError:  # it has ended, or it is another user's
            return False
        return any(place in text for text in texts)

    # -- clients --

    def keys(self, root: bool = True) -> dict[str, str]:
        """AWS_* variables of the root key, or of a session of the default execution role."""
        given = self.ask("env", "--endpoint-url", *(["--root"] if root else []))
        return {name: value for name, value in given.items() if not name.startswith("AWS_ENDPOINT")}

    def session(self, root: bool = True) -> boto3.Session:
        if root not in self._sessions:
            given = self.keys(root)
            self._sessions[root] = boto3.Session(
                given["AWS_ACCESS_KEY_ID"],
                given["AWS_SECRET_ACCESS_KEY"],
                given.get("AWS_SESSION_TOKEN"),
                region_name=given["AWS_REGION"],
            )
        return self._sessions[root]

    def client(self, service: str, kind: str = "client", https: bool = False, root: bool = True, **options: Any) -> Any:
        """A boto3 client, or with `kind="resource"` a resource. No retries: a test sees each answer."""
        config = Config(retries={"total_max_attempts": 1}).merge(options.pop("config", Config()))
        where: dict[str, Any] = {"endpoint_url": self.url, "verify": False}
        if https:
            self.ask("env")
            where = {"endpoint_url": self.url.replace("http:", "https:"), "verify": str(self.ca)}
        return getattr(self.session(root), kind)(service, config=config, **(where | options))

    def client_environment(self, name: str) -> dict[str, str]:
        """What a client program of .venvs/<name> sees before `clary run` points it here: a user's shell, usage reports
        switched off in the way that the SDK documents. Skips the test where `make <name>` was not run."""
        given = {name: value for name, value in self.environment.items() if name != "CLARY_IMAGES_HOME"}
        options = self.home / "sdk.yaml"
        options.write_text(_SDK_OPTIONS)
        (self.home / "user").mkdir(exist_ok=True)
        return given | {
            "PATH": f"{client_programs(name)}:{given['PATH']}",
            "HOME": str(self.home / "user"),
            "SAGEMAKER_USER_CONFIG_OVERRIDE": str(options),
            "SAGEMAKER_SUPPRESS_V2_WARNING": "1",
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "ignore",
        }

    def run_client(
        self, name: str, *command: str, timeout: float = 100, options: Sequence[str] = (), **environment: str
    ) -> Done:
        """A command in the environment .venvs/<name>, through `clary run` with these options."""
        words = [*self.command, "run", *options, "--", *command]
        return _run(words, self.client_environment(name) | environment, timeout)


_SDK_OPTIONS = 'SchemaVersion: "1.0"\nSageMaker:\n  PythonSDK:\n    Modules:\n      TelemetryOptOut: true\n'


def client_programs(name: str) -> Path:
    """The folder of a client environment's programs. Skips the test where it is not there."""
    found = ROOT / ".venvs" / name / "bin"
    if not found.is_dir():
        pytest.skip(f"no environment {name}: `make {name.removeprefix('peers-')}` makes it")
    return found


@contextmanager
def whole_server(**settings: str) -> Iterator[WholeServer]:
    """A server on a throw-away home, running; ended and removed afterwards."""
    home = Path(tempfile.mkdtemp(prefix="clary-test-"))
    server = WholeServer(home, **settings)
    try:
        server.up()
        yield server
        server.down()
    finally:
        server.clary("down")
        shutil.rmtree(home, ignore_errors=True)


def wait_until(condition: Callable[[], Any], seconds: float = 30, what: str = "it never happened") -> Any:
    """The first true value of `condition`."""
    deadline, tick = time.monotonic() + seconds, threading.Event()
    while time.monotonic() < deadline:
        if value := condition():
            return value
        tick.wait(0.02)
    return pytest.fail(what)


def describe(pid: int) -> str:
    try:
        return f"{pid}: {Path(f'/proc/{pid}/cmdline').read_bytes().replace(bytes(1), b' ').decode()}"
    except OSError:
        return str(pid)


def _run(command: Sequence[str], environment: Mapping[str, str], timeout: float) -> Done:
    """One that takes too long says where it stands, as far as Python does."""
    environment = {**environment, "PYTHONFAULTHANDLER": "1"}
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(command, env=environment, stdin=null, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            out, err = process.communicate(timeout=10)
            pytest.fail(f"{command} took more than {timeout:g} s.\n{out}\n{err}")
        finally:
            process.kill()
    return Done(command, process.returncode, out, err)


def _kept(name: str) -> bool:
    return not name.startswith(_FOREIGN) and name not in _PROXIES


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None
