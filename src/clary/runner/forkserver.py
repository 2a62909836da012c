"""Loaded libraries, waiting: forks a sandboxed child for every request. Started by the launcher with the environment's
own Python as a script (`ENV/bin/python -I TREE/clary/runner/forkserver.py ALGORITHM DESCRIPTOR`).

It holds no keys, no store and no threads, and it only accepts and forks: the child reads the request, closes every
other descriptor, shuts itself in and calls the entry point. What one child is told, no other can see. It must never
train or predict itself: a parent that once ran OpenMP threads leaves every child hanging.

A request is one SEQPACKET message: JSON {"confinement", "environment", "entry"} with four descriptors: the control
socket of the sandbox's init (clary.sandbox.init says what is spoken there), stdout, stderr, and a gate; behind them
those of a network, where the sandbox joins another's. The sandbox is
made at once, but the entry point waits until a byte comes through the gate; at its end of file it is not called at all.
"""

from __future__ import annotations

import fcntl
import functools
import gc
import importlib
import json
import os
import random
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

LONGEST_REQUEST = 192 * 1024  # bytes; below the kernel's default for one SEQPACKET message
_OF_ALGORITHMS: Mapping[str, str] = {"training": "clary.runner.training", "serving": "clary.modelserver"}
_OF_SCRIPTS: Mapping[str, str] = {
    "script": "clary.runner.script",
    "command": "clary.runner.command",
    "script-serving": "clary.modelserver.script",
    "command-serving": "clary.modelserver.command",
}
ENTRIES: Mapping[str, str] = {**_OF_ALGORITHMS, **_OF_SCRIPTS}
_SPARE = 64  # descriptors are moved up here before they are put in their places
_CONTROL, _GATE = 3, 4
_MOST_OF_A_NETWORK = 2  # descriptors
_NOT_BEGUN = 1  # a status that nobody waits for


def main(algorithm: str, descriptor: int) -> NoReturn:
    listener = socket.socket(fileno=descriptor)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are the agents' business; the kernel reaps them
    preload(algorithm)
    while True:
        connection = listener.accept()[0]
        try:
            child = os.fork()
        except OSError:  # no more processes: the agent sees the end of file and asks again
            child = -1
        if child == 0:
            listener.detach()
            serve(connection)
        connection.close()


def preload(algorithm: str) -> None:
    """Imports what the entry points need and what the algorithm declares, and keeps the collector from touching (and so
    copying) those pages. "" stands for no algorithm: scripts have interpreters of their own."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when the library is loaded: no threads in this process
    declared = importlib.import_module(f"clary.algorithms.{algorithm}.spec").PRELOAD if algorithm else ()
    for module in (*declared, *(_OF_ALGORITHMS if algorithm else _OF_SCRIPTS).values()):
        importlib.import_module(module)
    gc.collect()
    gc.freeze()


def serve(connection: socket.socket) -> NoReturn:
    """The child: never returns."""
    control = None
    try:
        request, control, network = _receive(connection)
        confinement = Confinement.from_json(json.dumps(request["confinement"]))
        environment: dict[str, str] = request["environment"]
        entry = ENTRIES[request["entry"]]
        job = functools.partial(run, entry, environment, confinement.inside_base, confinement.nice)
        enter(confinement, control, job, network)
    except BaseException as error:
        if control is not None:
            tell(control, error=f"{type(error).__name__}: {error}")
    os._exit(1)


def _receive(connection: socket.socket) -> tuple[dict[str, Any], socket.socket, Sequence[int]]:
    """The request, the control socket and the descriptors of a network; these follow 0 to 4, all others are closed."""
    data, received, flags, _ = socket.recv_fds(connection, LONGEST_REQUEST, 4 + _MOST_OF_A_NETWORK)
    if len(received) < 4 or flags & socket.MSG_TRUNC:
        raise ConnectionError("a request needs four descriptors and has to fit one message")
    network = range(_GATE + 1, _GATE + 1 + len(received[4:]))
    moved = [fcntl.fcntl(each, fcntl.F_DUPFD, _SPARE) for each in (*received, os.open(os.devnull, os.O_RDONLY))]
    connection.detach()
    for source, target in zip(moved, (_CONTROL, 1, 2, _GATE, *network, 0), strict=True):
        os.dup2(source, target, inheritable=True)
    close_from(_GATE + 1 + len(network))
    return json.loads(data), socket.socket(fileno=_CONTROL), network


def run(entry: str, environment: Mapping[str, str], folder: str, nice: int) -> int:
    """Inside: the job's own environment, streams and random states; then, when the gate opens, its entry point. The
    result is its status."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    # line by line, whatever the server's own streams were
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    random.seed()
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()
    try:
        yield_cores(nice)
        function: Callable[[], int | None] = importlib.import_module(entry).main
        opened = os.read(_GATE, 1)
        os.close(_GATE)
        return (function() or 0) if opened else _NOT_BEGUN
    except SystemExit as end:
        return _status(end)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _status(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return (end.code or 0) & 0xFF
    print(end.code, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from clary.sandbox import Confinement, enter  # noqa: E402 - a script finds its own tree first
from clary.sandbox.init import tell  # noqa: E402
from clary.sandbox.limits import yield_cores  # noqa: E402
from clary.sandbox.syscalls import close_from  # noqa: E402

if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
