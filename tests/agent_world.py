"""Real processes around an agent: launcher, fork servers, the agent link over SQLite, and a small S3 in this process.

What runs inside is a tree with two tiny entry points: training executes the Python text of hyperparameter `program`,
the model server runs the Python text in MODEL_PROGRAM, then answers on the socket it is told."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import clary
from clary.clock import SystemClock
from clary.compute.base import Observation
from clary.compute.link import AgentLink, socket_path
from clary.compute.local import LocalCompute
from clary.config import Settings
from clary.contract.folder import JOBS_SOCKET
from clary.contract.instance import Channel, Credentials, Image, InstanceSpec
from clary.contract.link import Holder
from clary.contract.processes import running
from clary.sandbox.limits import Group
from clary.server import run_folders
from clary.store import logs as log_store
from clary.store.engine import SqliteDatabase
from clary.store.schema import LOGS, RECORDS

TRAINING = """
import json, os, sys
def main():
    from clary.contract.layout import Layout
    text = json.loads(Layout.here().hyperparameters.read_text())["program"]
    exec(compile(text, "program", "exec"), {"__name__": "program", "layout": Layout.here(), "os": os, "sys": sys})
    return 0
"""
MODEL_SERVER = """
import os, socket
def main():
    listener = socket.socket(socket.AF_UNIX)
    exec(os.environ.get("MODEL_PROGRAM", ""))
    listener.bind(os.environ["CLARY_MODEL_SOCKET"])
    listener.listen(16)
    print("listening", flush=True)
    while True:
        connection, _ = listener.accept()
        with connection:
            head = connection.recv(65536)
            body = open("model/answer.txt", "rb").read() if b"/invocations" in head else b""
            head = b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\nConnection: close\\r\\n\\r\\n" % len(body)
            connection.sendall(head + body)
"""

RELATIVE, FULL = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"
TOKEN = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
# The beginning of a program that asks its credential endpoint, and tells what it found as a line of its log.
TELLING = f"""
import json, http.client, socket, time, urllib.parse
def ask(path=None, method="GET", token=None):
    full = urllib.parse.urlsplit(os.environ.get({FULL!r}, "http://169.254.170.2" + os.environ.get({RELATIVE!r}, "")))
    connection = http.client.HTTPConnection(full.hostname, full.port, timeout=10)
    headers = {{"Authorization": os.environ.get({TOKEN!r}, "") if token is None else token}}
    connection.request(method, path or full.path, headers=headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())
def tell(value):
    print("told " + json.dumps(value), flush=True)
"""


def make_inside(folder: Path) -> Path:
    """The tree of what runs inside, with the tiny entry points."""
    package = Path(clary.__file__).parent
    target = folder / "clary"
    for name in ("contract", "sandbox"):
        shutil.copytree(package / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    (target / "__init__.py").write_text("")
    for name, text in {
        "runner/__init__.py": "",
        "runner/training.py": TRAINING,
        "modelserver/__init__.py": MODEL_SERVER,
        "algorithms/__init__.py": "",
        "algorithms/probe/__init__.py": "",
        "algorithms/probe/spec.py": "PRELOAD = ('json', 'random', 'ctypes', 'socket')\n",
    }.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(text)
    shutil.copy(package / "runner" / "forkserver.py", target / "runner" / "forkserver.py")
    return folder


class _UnixServer(ThreadingUnixStreamServer):
    request_queue_size = 128


@dataclass
class SmallS3:
    """Enough of S3 to stage and collect: objects by bucket and key, refusals and outages on demand."""

    buckets: dict[str, dict[str, bytes]] = field(default_factory=dict)
    forbidden: set[str] = field(default_factory=set)
    failing: int = 0  # answers of 503 still to give
    cut: int = 0  # bodies still to break off in the middle
    dead_key: str = ""  # an access key that has expired
    came_from: list[Any] = field(default_factory=list)  # the addresses of requests' connections

    def start(self, port: int = 0, path: Path | None = None) -> None:
        """At a port, and for jobs at a unix socket's `path`."""
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                store._serve(self)

            do_PUT = do_POST = do_GET  # noqa: N815

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._servers: list[ThreadingHTTPServer | ThreadingUnixStreamServer] = [self._server]
        if path is not None:
            self._servers.append(_UnixServer(str(path), Handler))
        for each in self._servers:
            each.daemon_threads = True
            threading.Thread(target=each.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def stop(self) -> None:
        for each in self._servers:
            each.shutdown()
            each.server_close()

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        self.came_from.append(request.client_address)
        body = request.rfile.read(int(request.headers.get("content-length", "0")))
        address = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(address.query, keep_blank_values=True).items()}
        bucket, _, key = unquote(address.path).lstrip("/").partition("/")
        refusal = self._refusal(request, bucket)
        if refusal:
            return self._answer(request, refusal[0], f"<Error><Code>{refusal[1]}</Code></Error>".encode())
        objects = self.buckets[bucket]
        if request.command == "PUT":
            objects[key] = body
            return self._answer(request, 200, b"")
        if "list-type" in query:
            return self._answer(request, 200, _listing(objects, query["prefix"]))
        if key not in objects:
            return self._answer(request, 404, b"<Error><Code>NoSuchKey</Code></Error>")
        return self._object(request, objects[key])

    def _refusal(self, request: BaseHTTPRequestHandler, bucket: str) -> tuple[int, str] | None:
        if self.failing:
            self.failing -= 1
            return 503, "SlowDown"
        authorization = request.headers.get("authorization", "")
        if not authorization.startswith("AWS4-HMAC-SHA256 Credential="):
            return 403, "AccessDenied"
        if self.dead_key and f"Credential={self.dead_key}/" in authorization:
            return 400, "ExpiredToken"
        if bucket in self.forbidden:
            return 403, "AccessDenied"
        return None if bucket in self.buckets else (404, "NoSuchBucket")

    def _object(self, request: BaseHTTPRequestHandler, data: bytes) -> None:
        start = int(request.headers.get("range", "bytes=0-")[6:-1])
        rest = data[start:]
        request.send_response(206 if start else 200)
        request.send_header("ETag", '"same"')
        request.send_header("Content-Length", str(len(rest)))
        request.end_headers()
        if self.cut:
            self.cut -= 1
            request.wfile.write(rest[: len(rest) // 2])
            request.close_connection = True
            return
        request.wfile.write(rest)

    def _answer(self, request: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)


def _listing(objects: dict[str, bytes], prefix: str) -> bytes:
    entries = "".join(
        f"<Contents><Key>{escape(key)}</Key><Size>{len(objects[key])}</Size></Contents>"
        for key in sorted(objects)
        if key.startswith(prefix)
    )
    name = "http://s3.amazonaws.com/doc/2006-03-01/"
    return f'<ListBucketResult xmlns="{name}">{entries}</ListBucketResult>'.encode()


class World:
    """`compute` is the thing under test; `start`/`stop_control` begin and end the control plane's side."""

    def __init__(self, folder: Path, isolation: str = "auto", environment: str = sys.prefix) -> None:
        self.settings = Settings.load({}, home=folder / "h", images_home=folder / "i", isolation=isolation)
        self.settings.data.mkdir(parents=True)
        run_folders.make(self.settings)
        self.inside = make_inside(folder / "inside")
        self.environment = environment
        self.records = SqliteDatabase(str(self.settings.data / "records.sqlite"), RECORDS)
        self.logs = SqliteDatabase(str(self.settings.data / "logs.sqlite"), LOGS)
        self.s3 = SmallS3()
        self.s3.start(path=self.settings.run / JOBS_SOCKET)
        self.port = self.s3.port
        self.changed = threading.Condition()
        self.keys = iter(f"AKIA{number}" for number in range(1000))
        self.sessions: Callable[[InstanceSpec, Holder], Credentials] = self._session
        self.start_control()
        self.start_launcher()

    def start_control(self) -> None:
        clock = SystemClock()
        path = socket_path(self.settings.run)
        endpoint = f"http://127.0.0.1:{self.port}"
        self.link = AgentLink(path, endpoint, self.records, self.logs, self._opened, clock, self._wake)
        self.link.start()
        self.compute = LocalCompute(self.settings, self.records, self.link, lambda: self.inside, clock)

    def stop_control(self) -> None:
        self.link.close()
        socket_path(self.settings.run).unlink(missing_ok=True)

    def start_launcher(self) -> None:
        command = [sys.executable, "-P", "-m", "clary.agent.launcher", "--run", str(self.settings.run)]
        environment = {**os.environ, "PYTHONPATH": str(Path(clary.__file__).parents[1])}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self.launcher = subprocess.Popen([*command, "--logs", str(self.settings.logs)], env=environment)

    def _opened(self, spec: InstanceSpec, holder: Holder) -> Credentials:
        return self.sessions(spec, holder)

    def _session(self, _spec: InstanceSpec, _holder: Holder) -> Credentials:
        return Credentials(next(self.keys), "secret", "token", time.time() + 3600)

    def _wake(self, _instance: str) -> None:
        with self.changed:
            self.changed.notify_all()

    def spec(self, program: str = "", **given: Any) -> InstanceSpec:
        values: dict[str, Any] = {
            "id": f"job-{secrets.token_hex(4)}",
            "purpose": "training",
            "image": Image("builtin", "x", "probe", self.environment),
            "job_name": "job",
            "job_arn": "arn:aws:sagemaker:us-east-1:123456789012:training-job/job",
            "account": "123456789012",
            "region": "us-east-1",
            "role_arn": "arn:aws:iam::123456789012:role/r",
            "token": secrets.token_hex(8),
            "link": str(socket_path(self.settings.run)),
            "log_group": "/aws/sagemaker/TrainingJobs",
            "hyperparameters": {"program": program},
            "output": "s3://out/job/output",
            "stop_grace": 5.0,
            "isolation": self.settings.isolation,
            "server": f"http://127.0.0.1:{self.port}",
            **given,
        }
        values.setdefault("log_stream", values["id"])
        self.s3.buckets.setdefault("out", {})
        return InstanceSpec(**values)

    def channel(self, name: str, source: str, **given: Any) -> Channel:
        return Channel(name, source, **given)

    def wait(self, instance: str, done: Callable[[Observation], bool], timeout: float = 30.0) -> Observation:
        """The first observation that is `done`."""
        until = time.monotonic() + timeout
        with self.changed:
            while not done(seen := self.compute.observe(instance)):
                assert time.monotonic() < until, f"{seen}\n{self.lines(instance)}\n{self.agent_log(instance)}"
                self.changed.wait(0.02)
        return seen

    def run(self, spec: InstanceSpec) -> Observation:
        self.compute.launch(spec)
        return self.wait(spec.id, lambda seen: seen.state in ("exited", "lost"))

    def told(self, program: str, **given: Any) -> Any:
        """What `program` tells (see TELLING) in a job that completes."""
        spec = self.spec(TELLING + program, **given)
        record = self.run(spec).exit
        lines = self.lines(spec.id)
        assert record is not None and record.cause == "completed", "\n".join((str(record), *lines))
        return json.loads(next(line for line in lines if line.startswith("told "))[5:])

    def wait_line(self, instance: str, text: str, timeout: float = 20.0) -> list[str]:
        until = time.monotonic() + timeout
        while text not in "\n".join(lines := self.lines(instance)):
            assert time.monotonic() < until, f"{lines}\n{self.agent_log(instance)}"
            threading.Event().wait(0.005)
        return lines

    def lines(self, stream: str) -> list[str]:
        return [text for _, text in self.events(stream)]

    def events(self, stream: str) -> list[tuple[int, str]]:
        def work(connection: Any) -> list[tuple[int, str]]:
            account = ("123456789012", "us-east-1", "/aws/sagemaker/TrainingJobs")
            group = log_store.find_group(connection, *account)
            found = log_store.find_stream(connection, group, stream) if group else None
            if found is None:
                return []
            found_events = log_store.forward(connection, found, log_store.FIRST, 1_000_000)
            return [(each.timestamp, each.message) for each in found_events]

        return self.logs.read(work)

    def agent_log(self, instance: str) -> str:
        path = self.settings.instances / instance / "agent.log"
        return path.read_text() if path.exists() else ""

    def agent_pid(self, instance: str) -> int | None:
        return running(self.settings.run / f"agent-{instance}.pid")

    def sandboxed(self, instance: str) -> int:
        """How many processes of the instance's sandbox there are: they see its tree at a mount, or stand in it."""
        found = 0
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    mounts, folder = (entry / "mountinfo").read_text(), str((entry / "cwd").readlink())
                    found += f"/{instance}/ml " in mounts or folder.endswith(f"/{instance}/ml")
        return found

    def close(self) -> None:
        self.launcher.kill()
        self.launcher.wait()
        for path in self.settings.run.glob("*.pid"):
            pid = running(path)
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for listing in self.settings.instances.glob("*/groups"):
            Group(tuple(listing.read_text().splitlines()), limits_memory=False, limits_processes=False).remove()
        self.link.close()
        self.s3.stop()
        self.records.close()
        self.logs.close()


@contextlib.contextmanager
def world(isolation: str = "auto") -> Iterator[World]:
    with tempfile.TemporaryDirectory(prefix="clary-w-", ignore_cleanup_errors=True) as folder:
        here = World(Path(folder), isolation)
        try:
            yield here
        finally:
            here.close()
