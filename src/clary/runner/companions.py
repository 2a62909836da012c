"""The hosts that a script is spread over, held together for as long as it runs: each has a connection with the first
one, whose end says that the other's part is over. Standard library only."""

from __future__ import annotations

import contextlib
import json
import select
import shlex
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from clary.runner import launchers
from clary.runner.distribution import Distribution

_AGAIN = 0.05  # seconds until the first host is looked for again


class Companions:
    """Made on each host; returns from there when all are. A context: at its end this host's part is over."""

    def __init__(self, spread: Distribution) -> None:
        self._leads = spread.leads
        self._connections = _met(spread) if spread.leads else [_found(spread)]

    def wait(self) -> None:
        """Says that this host's part is over; returns when those of all hosts are: the first hears it of each other
        one, and these hear it of the first."""
        for each in self._connections:
            with contextlib.suppress(OSError):  # it has gone already
                if not self._leads:
                    each.shutdown(socket.SHUT_WR)
                each.recv(1)

    def or_readable(self, listener: socket.socket) -> Sequence[socket.socket]:
        """Waits for one that asks at the listener, or for the end of another's part: those that have come."""
        return select.select([listener, *self._connections], [], [])[0]

    def __enter__(self) -> Companions:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._connections:
            each.close()


def _met(spread: Distribution) -> list[socket.socket]:
    with socket.create_server((spread.hosts[0], spread.own_port)) as listener:
        return [listener.accept()[0] for _ in spread.hosts[1:]]


def _found(spread: Distribution) -> socket.socket:
    while True:
        try:
            return socket.create_connection((spread.hosts[0], spread.own_port))
        except ConnectionRefusedError:  # it is not there yet; where it has failed, the job ends
            time.sleep(_AGAIN)


@contextlib.contextmanager
def beside(spread: Distribution, python: str, environment: Mapping[str, str]) -> Iterator[None]:
    """What the script needs besides itself on this host, while it runs."""
    if spread.way == "parameter-servers":
        with _parameter_server(spread, python, environment):
            yield
    elif spread.way == "mpi" and len(spread.hosts) > 1:
        program = Path(launchers.REMOTE_SHELL)
        script = Path(__file__).with_name("remote_shell.py")
        program.write_text(f'#!/bin/sh\nexec {shlex.join([python, "-I", str(script), str(spread.own_port)])} "$@"\n')
        program.chmod(0o755)
        with Companions(spread):
            yield
    else:
        yield


@contextlib.contextmanager
def _parameter_server(spread: Distribution, python: str, environment: Mapping[str, str]) -> Iterator[None]:
    """Until all hosts' scripts have ended, or this one's failed."""
    command = [python, "-I", str(Path(__file__).with_name("parameter_server.py"))]
    described = {"TF_CONFIG": launchers.described(spread, server=True)}
    with Companions(spread) as others, subprocess.Popen(command, env={**environment, **described}) as server:
        try:
            yield
            others.wait()
        finally:
            server.kill()  # it waits for requests without end, whatever signal it gets


def follow(spread: Distribution, folder: Path, environment: Mapping[str, str]) -> None:
    """What MPI needs on its hosts but the first: runs in `folder` what the first one's launcher asks for, until its
    script has ended. Those who ask are other hosts of this job: nobody else is in its network."""
    with socket.create_server((spread.host, spread.own_port)) as listener, Companions(spread) as first:
        while listener in first.or_readable(listener):
            given = (listener.accept()[0], folder, environment)
            threading.Thread(target=_answer, args=given, name="remote-command", daemon=True).start()


def _answer(asking: socket.socket, folder: Path, environment: Mapping[str, str]) -> None:
    """Runs the command that comes as a line, and sends its status back as one."""
    with asking, asking.makefile("rw", encoding="utf-8") as stream, contextlib.suppress(OSError):
        command = ["/bin/sh", "-c", json.loads(stream.readline())]
        done = subprocess.run(command, cwd=folder, env=environment, check=False)
        stream.write(f"{done.returncode}\n")
