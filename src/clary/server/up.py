"""`clary up`, without the words: a home, a port, a supervisor, and at the end nothing left behind."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from clary.config import Settings
from clary.contract.folder import JOBS_SOCKET
from clary.objects.remote.claim import claim
from clary.objects.remote.place import PlaceError
from clary.server import home, processes, run_folders
from clary.server.listening import listening, listening_for_jobs
from clary.server.processes import Process
from clary.server.programs import environment, programs
from clary.server.supervisor import Supervisor

_LOG = logging.getLogger(__name__)
_GRACE = 10.0  # agents end their sandboxes at once and write an exit record


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers. `seconds` is how long it took from the call to the first answer."""

    settings: Settings
    pid: int
    seconds: float


def serve(settings: Settings, on_ready: Callable[[Running], None]) -> None:
    """Runs a server until it is told to stop (SIGTERM, SIGINT). Raises HomeError, PortTaken, StartFailed."""
    begin = time.monotonic()
    home.prepare(settings)
    run_folders.sweep()
    with (
        _held(settings),
        listening(settings.host, settings.port, max(1, settings.edges)) as sockets,
        listening_for_jobs(settings.run / JOBS_SOCKET) as jobs,
    ):
        settings = dataclasses.replace(settings, port=sockets[0].getsockname()[1])
        _log_to(settings)
        supervisor = Supervisor(
            programs([each.fileno() for each in sockets], jobs.fileno()),
            (local_address(settings.host), settings.port),
            environment(settings),
            settings.home,
            settings.run,
            settings.logs,
        )
        pid_file = home.supervisor_file(settings)
        processes.record(pid_file, os.getpid(), host=settings.host, port=settings.port)
        try:
            supervisor.supervise(lambda: on_ready(Running(settings, os.getpid(), time.monotonic() - begin)))
            sweep(settings)  # after an orderly stop only: what outlived a crash is for the next start to adopt
        finally:
            pid_file.unlink(missing_ok=True)


@contextlib.contextmanager
def _held(settings: Settings) -> Iterator[None]:
    """The home, and the place of its objects. Raises HomeError."""
    with home.locked(settings):
        try:
            claim(settings)
        except PlaceError as error:
            raise home.HomeError(str(error)) from error
        yield


def local_address(host: str) -> str:
    """Where this machine reaches a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)


def sweep(settings: Settings) -> list[Process]:
    """Ends every process that has a pid file in this home (agents, fork servers, what a killed supervisor left) except
    this one, and removes their files and sockets. Returns the processes that were running."""
    files = list(settings.run.glob("*.pid"))
    found = [process for path in files if (process := processes.recorded(path)) and process.pid != os.getpid()]
    for process in processes.end(found, _GRACE):
        _LOG.warning("process %d had to be killed", process.pid)
    for path in (*files, *settings.run.glob("*.sock")):
        path.unlink(missing_ok=True)
    return found


def _log_to(settings: Settings) -> None:
    logging.basicConfig(
        filename=settings.logs / "supervisor.log",
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        force=True,
    )
