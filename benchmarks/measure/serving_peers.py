"""Other people's model servers, each as its documentation has it, and nginx as the floor: one worker process each, no
access log, one thread per library. The programs are in benchmarks/peers, their locks in benchmarks/locks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from measure import processes
from measure.servers import free_port
from measure.serving import Serving

PEERS = Path(__file__).parents[1] / "peers"
VENVS = Path(__file__).parents[2] / ".venvs"

Command = list[str]


@dataclass(frozen=True)
class Place:
    """What a peer is given: a port, a folder of its own, the model's file."""

    port: int
    folder: Path
    model: Path


@dataclass(frozen=True)
class Peer:
    """`commands` together are the server; `body` makes the request's body from a CSV row, `read` finds the number in
    the answer's."""

    environment: str
    commands: Callable[[Place], Sequence[Command]]
    path: str = "/invocations"
    content_type: str = "text/csv"
    body: Callable[[str], str] = str
    read: Callable[[bytes], float] = float
    variables: Mapping[str, str] = field(default_factory=dict)
    rests: bool = False

    @property
    def installed(self) -> bool:
        return not self.environment or (VENVS / self.environment / "bin" / "python").exists()


def _program(environment: str, name: str, *words: str) -> Command:
    return [str(VENVS / environment / "bin" / name), *words]


def _row(line: str) -> list[float]:
    return [float(each) for each in line.split(",")]


def _infer(line: str) -> str:
    """A row in the Open Inference Protocol."""
    row = _row(line)
    return json.dumps({"inputs": [{"name": "row", "shape": [1, len(row)], "datatype": "FP32", "data": row}]})


def _uvicorn(application: str) -> Callable[[Place], Sequence[Command]]:
    def commands(place: Place) -> Sequence[Command]:
        quiet = ["--no-access-log", "--log-level", "warning"]
        return [_program("peers-serving", "uvicorn", application, "--port", str(place.port), *quiet)]

    return commands


def _classic(place: Place) -> Sequence[Command]:
    socket = place.folder / "gunicorn.sock"
    gunicorn = ["--timeout", "60", "-k", "gevent", "-w", "1", "-b", f"unix:{socket}", "classic:app"]
    front = f"""upstream gunicorn {{ server unix:{socket}; }}
server {{ listen 127.0.0.1:{place.port}; client_max_body_size 5m; keepalive_timeout 5; keepalive_requests 100000000;
  location ~ ^/(ping|invocations) {{ proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header Host $http_host; proxy_redirect off; proxy_pass http://gunicorn; }}
  location / {{ return 404 "{{}}"; }} }}"""
    return [_program("peers-serving", "gunicorn", *gunicorn), _nginx(place, front)]


def _floor(place: Place) -> Sequence[Command]:
    server = f"""server {{ listen 127.0.0.1:{place.port}; keepalive_requests 100000000;
  location / {{ default_type text/csv; return 200 "9.75\\n"; }} }}"""
    return [_nginx(place, server)]


def _nginx(place: Place, servers: str) -> Command:
    path = place.folder / "nginx.conf"
    temporary = " ".join(
        f"{kind}_temp_path {place.folder};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""  # else the worker may not enter the folder
    path.write_text(
        f"{user} worker_processes 1; daemon off; pid {place.folder}/nginx.pid; error_log stderr;\n"
        f"events {{ worker_connections 1024; }}\nhttp {{ access_log off; {temporary}\n{servers} }}\n"
    )
    return ["nginx", "-e", "stderr", "-c", str(path)]


def _litserve(place: Place) -> Sequence[Command]:
    return [_program("peers-serving", "python", "litserve_server.py", str(place.port))]


def _bentoml(place: Place) -> Sequence[Command]:
    where = ["--host", "127.0.0.1", "--port", str(place.port)]
    return [_program("peers-bentoml", "bentoml", "serve", "bentoml_service:Abalone", *where)]


def _ray(place: Place) -> Sequence[Command]:
    return [_program("peers-ray", "python", "ray_serve.py", str(place.port), str(place.folder))]


def _mlserver(place: Place) -> Sequence[Command]:
    settings = {"host": "127.0.0.1", "http_port": place.port, "grpc_port": free_port(), "metrics_endpoint": None}
    model = {"name": "abalone", "implementation": "mlserver_xgboost.XGBoostModel"}
    (place.folder / "settings.json").write_text(json.dumps(settings | {"parallel_workers": 0, "debug": False}))
    (place.folder / "model-settings.json").write_text(json.dumps(model | {"parameters": {"uri": str(place.model)}}))
    return [_program("peers-mlserver", "mlserver", "start", str(place.folder))]


_JSON: dict[str, Any] = {"content_type": "application/json"}
_BY_NAME = _JSON | {"path": "/predict", "body": lambda line: json.dumps({"row": _row(line)})}

FLOOR = Peer("", _floor)
SERVERS = {
    "uvicorn": Peer("peers-serving", _uvicorn("raw_asgi:app")),
    "fastapi": Peer("peers-serving", _uvicorn("fastapi_app:app")),
    "classic": Peer("peers-serving", _classic),
    "litserve": Peer("peers-serving", _litserve, **_BY_NAME, read=lambda body: float(json.loads(body)["rings"])),
    "mlserver": Peer(
        "peers-mlserver",
        _mlserver,
        **_JSON,
        path="/v2/models/abalone/infer",
        body=_infer,
        read=lambda body: float(json.loads(body)["outputs"][0]["data"][0]),
    ),
    "bentoml": Peer("peers-bentoml", _bentoml, **_BY_NAME, variables={"BENTOML_DO_NOT_TRACK": "True"}),
    "ray": Peer("peers-ray", _ray, variables={"RAY_USAGE_STATS_ENABLED": "0"}, rests=True),
}


@contextmanager
def running(peer: Peer, model: Path, rows: Sequence[str], answers: Sequence[float]) -> Iterator[Serving]:
    """A peer from its start to its end; no answer is waited for."""
    with tempfile.TemporaryDirectory(prefix="peer-", ignore_cleanup_errors=True) as folder:
        place = Place(free_port(), Path(folder), model)
        given = dict(os.environ) | {"MODEL": str(model), "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
        given.pop("PYTHONDONTWRITEBYTECODE", None)
        started, commands = time.monotonic(), peer.commands(place)
        with (place.folder / "output").open("wb") as output:
            roots = [
                subprocess.Popen(each, cwd=PEERS, env=given | dict(peer.variables), stdout=output, stderr=output)
                for each in commands
            ]
        try:
            requests = [_request(peer, place.port, row) for row in rows]
            expected = answers if peer.environment else []
            yield Serving(
                place.port, requests, expected, peer.read, lambda: _family(roots), rests=peer.rests, started=started
            )
        finally:
            _end(roots)


def _request(peer: Peer, port: int, row: str) -> bytes:
    body = peer.body(row)
    head = [f"POST {peer.path} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Content-Type: {peer.content_type}"]
    return "\r\n".join([*head, f"Content-Length: {len(body)}", "", body]).encode()


def _end(roots: Sequence[subprocess.Popen[bytes]]) -> None:
    """Asks, waits, and ends what is left below them."""
    below = {pid: processes.began(pid) for pid in _family(roots)}
    for pid in below:
        os.kill(pid, signal.SIGCONT)
    for each in roots:
        each.terminate()
    for each in roots:
        try:
            each.wait(15)
        except subprocess.TimeoutExpired:
            each.kill()
            each.wait()
    for pid, began in below.items():
        if began is not None and processes.began(pid) == began:
            os.kill(pid, signal.SIGKILL)


def _family(roots: Sequence[subprocess.Popen[bytes]]) -> set[int]:
    return processes.family(*(each.pid for each in roots))
