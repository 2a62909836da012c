"""A real edge process on a real port, in front of a control plane and model servers that live in the test."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clary.config import Settings
from clary.server import run_folders
from clary.server.control import ControlServer
from clary.wire.messages import Request, Response

KEY, SECRET, ACCOUNT = "AKIAEXAMPLE", "a-secret", "123456789012"


def echo(request: Request) -> Response:
    """What came, as JSON; the body by its length and its beginning."""
    body = request.body.read()
    seen = {
        "method": request.method,
        "target": request.target,
        "headers": request.headers.pairs,
        "scheme": request.scheme,
        "peer": request.peer,
        "length": request.body.length,
        "read": len(body),
        "body": body[:1000].decode("latin-1"),
    }
    return Response(200, [("Content-Type", "application/json")], json.dumps(seen).encode())


class Plane:
    """The control plane of a test: `application` may be replaced at any time; keys and routes are plain dicts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.application: Callable[[Request], Response] = echo
        self.keys: dict[str, dict[str, Any]] = {KEY: {"secret_key": SECRET, "session_token": "", "expires": None}}
        self.routes: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self._server: ControlServer | None = None

    def start(self) -> None:
        def serve(request: Request) -> Response:
            return self.application(request)

        self._server = ControlServer(self.path, serve, self._answer, threads=8)
        self._server.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop(0.1)
            self._server = None

    def _answer(self, question: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(question["ask"])
        if question["ask"] == "credential":
            found = self.keys.get(question["access_key"])
            principal = {
                "kind": "root",
                "account": ACCOUNT,
                "arn": f"arn:aws:iam::{ACCOUNT}:root",
                "user_id": ACCOUNT,
                "access_key": question["access_key"],
                "role": "",
            }
            return {"found": True, "principal": principal, **found} if found else {"found": False}
        if question["ask"] == "permit":  # everybody may
            return {"found": True, "refusal": ""}
        route = self.routes.get(question["endpoint"])
        if route is None or question["account"] != ACCOUNT:
            return {"found": False}
        return {"found": True, "status": "InService", "arn": "arn:aws:sagemaker:::endpoint/x", **route}

    def endpoint(self, name: str, *sockets: Path, **more: Any) -> None:
        variant = {"name": "AllTraffic", "weight": 1.0, "instances": [str(each) for each in sockets], **more}
        self.routes[name] = {"variants": [variant]}


class EdgeProcess:
    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        self.settings = Settings.load({}, home=folder)
        listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = listening.getsockname()[1]
        command = [sys.executable, "-m", "clary.edge", "--fd", str(listening.fileno())]
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        environment |= {"CLARY_HOME": str(folder), **variables}
        self.log = folder / "edge.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, pass_fds=[listening.fileno()], stderr=log, stdout=log, env=environment
            )
        listening.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self, timeout: float = 20.0) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


@pytest.fixture(scope="module")
def _running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Plane, EdgeProcess]]:
    folder = tmp_path_factory.mktemp("edge")
    settings = Settings.load({}, home=folder)
    run_folders.make(settings)
    plane = Plane(settings.run / "control.sock")
    plane.start()
    edge = EdgeProcess(folder, CLARY_PAYLOAD_LIMIT_BYTES="1000000")
    yield plane, edge
    code = edge.stop()
    plane.stop()
    text = edge.log.read_text()
    assert code == 0, text
    assert "Traceback" not in text, text


@pytest.fixture
def plane(_running: tuple[Plane, EdgeProcess]) -> Iterator[Plane]:
    plane = _running[0]
    yield plane
    plane.application = echo


@pytest.fixture
def edge(_running: tuple[Plane, EdgeProcess], plane: Plane) -> EdgeProcess:
    return _running[1]


class ModelServer:
    """A model server on a unix socket: threads, blocking sockets, one function from (head, body) to a raw response.
    None closes the connection without an answer."""

    def __init__(self, path: Path, answer: Callable[[bytes, bytes], bytes | None]) -> None:
        self.path = path
        self.answer = answer
        self.seen: list[tuple[bytes, bytes]] = []
        self.connections = 0
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen(128)
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.path.unlink()
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as stream:
            while head := b"".join(itertools.takewhile(lambda line: line != b"\r\n", stream)):
                lines = dict(line.lower().split(b": ", 1) for line in head.splitlines()[1:])
                body = stream.read(int(lines[b"content-length"]))
                self.seen.append((head, body))
                raw = self.answer(head, body)
                if raw is None:
                    break
                connection.sendall(raw)
        self._open.discard(connection)


def http(status: str, body: bytes = b"", *lines: str) -> bytes:
    head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", *lines, f"Content-Length: {len(body)}"))
    return head.encode() + b"\r\n" + body


@pytest.fixture
def model(tmp_path: Path) -> Iterator[Callable[..., ModelServer]]:
    servers: list[ModelServer] = []

    def start(answer: Callable[[bytes, bytes], bytes | None], name: str = "model.sock") -> ModelServer:
        servers.append(ModelServer(tmp_path / name, answer))
        return servers[-1]

    yield start
    for each in servers:
        with contextlib.suppress(OSError):
            each.stop()
