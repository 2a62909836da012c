"""The launcher: a lean process with one thread, from which agents are forked, and which starts fork servers.

    python -m clary.agent.launcher [--run RUN --logs LOGS]      (default: where CLARY_HOME has them)

Agents and fork servers have sessions of their own and outlive it: a launcher that is restarted finds fork servers by
their pid files and leaves agents alone.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from clary.agent import supervise
from clary.config import Settings
from clary.contract import launch
from clary.contract.folder import InstanceFolder, take
from clary.contract.processes import running, write_pid_file
from clary.sandbox import Isolation, probe

_BACKLOG = 256
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1"}


class Launcher:
    """`run`: the folder of sockets and pid files; `logs`: where fork servers print; `authorities`: the certificates by
    which agents trust another store of objects, "" for the well-known ones."""

    def __init__(self, run: Path, logs: Path, authorities: str = "") -> None:
        self._run = run
        self._logs = logs
        self._authorities = authorities
        self._listener = _listen(run / launch.SOCKET)
        self._isolation: Isolation = probe()

    def serve(self) -> NoReturn:
        while True:
            connection = self._listener.accept()[0]
            with connection, contextlib.suppress(OSError):
                connection.settimeout(1.0)
                launch.reply(connection, self._answer(connection))
            self._reap()

    def _answer(self, connection: socket.socket) -> launch.Answer:
        try:
            match launch.read(connection):
                case launch.Launch() as question:
                    self._launch(question)
                    return launch.Answer()
                case launch.ForkServer() as question:
                    return launch.Answer(socket=str(self._fork_server(question)))
        except (OSError, ValueError) as error:
            traceback.print_exc()
            return launch.Answer(error=f"{type(error).__name__}: {error}")

    def _launch(self, question: launch.Launch) -> None:
        """The lock is taken here and goes to the agent with the fork, so it is held when the caller is answered."""
        folder = InstanceFolder(Path(question.folder))
        lock = take(folder.lock)
        if lock is None:
            return
        try:
            if not (folder.has_started() or folder.exit.exists()):
                self._fork_agent(folder, question.inside)
        finally:
            os.close(lock)

    def _fork_agent(self, folder: InstanceFolder, inside: str) -> None:
        """Forks twice: the agent's parent is the machine's init. Returns when its pid file is written."""
        pid_file = self._run / f"agent-{folder.path.name}.pid"
        written, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(written)
            self._listener.close()
            os.setsid()
            if os.fork():
                os._exit(0)
            write_pid_file(pid_file, os.getpid())
            os.close(writing)
            supervise.start(folder, inside, self._isolation, pid_file, self._authorities)
        os.close(writing)
        os.waitpid(child, 0)
        os.read(written, 1)  # end of file: both children have closed their ends
        os.close(written)

    def _fork_server(self, question: launch.ForkServer) -> Path:
        """Its socket listens from here on, before the libraries are loaded: askers wait in its queue."""
        name = question.name
        path, pid_file = question.socket(self._run), self._run / f"{name}.pid"
        self._reap()
        if running(pid_file) is None:
            with _listen(path) as listener, (self._logs / f"{name}.log").open("ab") as log:
                process = subprocess.Popen(
                    _command(question, listener.fileno()),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=[listener.fileno()],
                    env=_ENVIRONMENT,
                    cwd="/",
                    start_new_session=True,
                )
            write_pid_file(pid_file, process.pid)
            process.returncode = 0  # reaped below; nobody waits for this object
        return path

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _command(question: launch.ForkServer, descriptor: int) -> list[str]:
    script = Path(question.inside, "clary", "runner", "forkserver.py")
    return [f"{question.environment}/bin/python", "-I", str(script), question.algorithm, str(descriptor)]


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    listener.listen(_BACKLOG)
    return listener


def main(arguments: list[str] | None = None) -> NoReturn:
    parser = argparse.ArgumentParser(prog="clary.agent.launcher", description="Forks agents and starts fork servers.")
    settings = Settings.load()
    parser.add_argument("--run", type=Path, default=settings.run, help="folder of sockets and pid files")
    parser.add_argument("--logs", type=Path, default=settings.logs, help="folder where fork servers print")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C goes to the supervisor, which ends this process
    given.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    given.logs.mkdir(parents=True, exist_ok=True)
    Launcher(given.run, given.logs, settings.objects_ca_bundle).serve()


if __name__ == "__main__":
    main()
