"""What the gateway adds between a client and a model server, against nginx in its place.

python benchmarks/gateway_hop.py [--rounds N] [--keep]
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from botocore.credentials import Credentials
from measure import processes
from measure.load import Load
from measure.report import Bar, Report, arguments
from measure.rounds import take_turns
from measure.servers import free_port, peer
from measure.serving_peers import PEERS
from measure.signed import invocations

from clary.config import Settings
from clary.server.control import ControlServer

ABOUT = """A fixed answer (nginx, `return 200`) as the model server, on a unix socket. In front of it: nothing (the same
server, asked on a port), nginx with kept connections, nginx as it is by default (a new connection for each request),
and an edge of Clary, which verifies the SigV4 signature, finds the endpoint, counts, and passes the call on;
*unchecked* is the same edge without the verification, which nginx has none of, for this measurement alone. All get the
same 2,000 differently signed InvokeEndpoint requests from wrk on the same cores; one worker process each. CPU is that
of the process in front. "Added" is the p50 over that of nothing in front."""

WHERE = """The bars are missed, with the signature and without it: an edge is interpreted, nginx is not. A request costs
an edge exactly two reads and two writes, as it costs nginx; that and the loop around them is about a quarter of the
edge's time. About a fifth is the signature's check, half of which is OpenSSL's, and a sixth the head (the parser's
verdict, then one split); the rest are some hundred small steps of Python: choosing an instance, limiting its time,
counting, and writing two heads. What is the same from request to request is not done again: the request line, a
header line that came before, what stands before the signature, the signing key and the two blocks of its HMAC, the
canonical request as far as it is the same for a second, the head for the model server and the head of its answer; one
timer serves all time limits. Further down would go native code for the head and the signature, which would bring a
compiler or wheels of our own into the installation. More requests a second than one core gives: `CLARY_EDGES`, one
process each on the same port, 20 MB each."""
KEY = Credentials("AKIAEXAMPLE", "a-secret-key-of-the-usual-forty-letters")
ACCOUNT, REGION, ENDPOINT = "123456789012", "eu-west-1", "abalone"
SECONDS = 2.0
DIRECT, NGINX, RECONNECTING = "nothing in front", "nginx, kept connections", "nginx, default"
EDGE, UNCHECKED = "clary", "clary, unchecked"
PROGRAMS = {EDGE: ("-m", "clary.edge"), UNCHECKED: (str(PEERS / "unchecked_edge.py"),)}

_MODEL = """
server {{ listen unix:{model}; listen 127.0.0.1:{port}; keepalive_requests 100000000;
  location / {{ default_type text/csv; return 200 "9.75\\n"; }} }}
"""
_FRONT = """
upstream model {{ server unix:{model}; {kept} }}
server {{ listen 127.0.0.1:{port}; keepalive_requests 100000000;
  location / {{ proxy_pass http://model; {version} }} }}
"""
_VERSION = 'proxy_http_version 1.1; proxy_set_header Connection "";'
_NGINX = """
worker_processes 1; daemon off; pid {folder}/{port}.pid; error_log stderr;
events {{ worker_connections 1024; }}
http {{ access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder}; {servers} }}
"""


def nginx(folder: Path, port: int, servers: str) -> list[str]:
    """The command of an nginx with these server blocks."""
    path = folder / f"{port}.conf"
    path.write_text(_NGINX.format(folder=folder, port=port, servers=servers))
    return ["nginx", "-e", "stderr", "-c", str(path)]


@contextmanager
def edge(folder: Path, model: Path, program: Sequence[str]) -> Iterator[tuple[int, int]]:
    """(port, pid) of an edge whose control plane knows one key and one endpoint."""
    settings = Settings.load({}, home=folder)
    settings.run.mkdir(parents=True)
    control = ControlServer(settings.run / "control.sock", _no_request, lambda asked: _answer(asked, model), threads=2)
    control.start()
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        command = [sys.executable, *program, "--fd", str(listening.fileno())]
        variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        variables["CLARY_HOME"] = str(folder)
        process = subprocess.Popen(command, pass_fds=[listening.fileno()], env=variables)
        try:
            yield int(listening.getsockname()[1]), process.pid
        finally:
            process.terminate()
            process.wait(20)
            control.stop(1.0)


def _no_request(_: Any) -> Any:
    raise RuntimeError("only invocations are sent here")


def _answer(asked: Mapping[str, Any], model: Path) -> dict[str, Any]:
    if asked["ask"] == "credential":
        principal = {"kind": "root", "account": ACCOUNT, "arn": f"arn:aws:iam::{ACCOUNT}:root", "user_id": ACCOUNT}
        principal["access_key"] = str(KEY.access_key)
        return {"found": True, "principal": principal, "secret_key": KEY.secret_key, "expires": None}
    if asked["ask"] == "permit":
        return {"found": True, "refusal": None}
    variants = [{"name": "AllTraffic", "weight": 1.0, "instances": [str(model)]}]
    return {"found": True, "status": "InService", "arn": "arn:aws:sagemaker:::endpoint/x", "variants": variants}


def contender(port: int, front: int) -> Callable[[], dict[str, float]]:
    """Loads the server on `port`; CPU of the process `front` and what is below it."""
    bodies = [f"{number},0.455,0.365,0.095,0.514,0.2245,0.101,0.15".encode() for number in range(2000)]
    load = Load(port, invocations(port, ENDPOINT, bodies, KEY, REGION))

    def sample() -> dict[str, float]:
        figures = {}
        for connections in (1, 16):
            before = processes.cpu_seconds(processes.family(front))
            run = load.run(connections, SECONDS)
            used = processes.cpu_seconds(processes.family(front)) - before
            figures |= {f"{figure} at {connections}": value for figure, value in run.items()}
            figures[f"CPU us at {connections}"] = used / (run["req/s"] * SECONDS) * 1e6
        return figures

    return sample


def start(stack: ExitStack, folder: Path) -> dict[str, Callable[[], dict[str, float]]]:
    model, direct, kept, new = folder / "model.sock", free_port(), free_port(), free_port()
    fronts = {
        direct: _MODEL.format(model=model, port=direct),
        kept: _FRONT.format(
            model=model, port=kept, kept="keepalive 64; keepalive_requests 100000000;", version=_VERSION
        ),
        new: _FRONT.format(model=model, port=new, kept="", version=""),
    }
    pids = {port: stack.enter_context(peer(nginx(folder, port, text), port)).pid for port, text in fronts.items()}
    found = {DIRECT: (direct, pids[direct]), NGINX: (kept, pids[kept]), RECONNECTING: (new, pids[new])}
    for name, program in PROGRAMS.items():
        found[name] = stack.enter_context(edge(folder / name, model, program))
    return {name: contender(*each) for name, each in found.items()}


def bars(report: Report) -> list[Bar]:
    def added(name: str) -> float:
        return report.figures[name]["p50 us at 1"].median - report.figures[DIRECT]["p50 us at 1"].median

    found = []
    for name, said in ((EDGE, ""), (UNCHECKED, " (signature apart)")):
        found += [
            Bar(f"added p50 at 1, to nginx{said}", added(name) / added(NGINX), 1.25),
            Bar(f"CPU at 1, to nginx{said}", report.ratio("CPU us at 1", name, NGINX), 1.6),
            Bar(f"CPU at 16, to nginx{said}", report.ratio("CPU us at 16", name, NGINX), 1.6),
        ]
    return found


def main() -> None:
    options = arguments(ABOUT, rounds=7)
    with tempfile.TemporaryDirectory(prefix="clary-hop-") as folder, ExitStack() as stack:
        figures = take_turns(start(stack, Path(folder)), options.rounds)
    report = Report("gateway_hop", "The gateway's hop", ABOUT, options.rounds, figures, where=WHERE)
    report.bars = bars(report)
    report.finish(options.keep)


if __name__ == "__main__":
    main()
