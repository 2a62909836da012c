"""A serving instance: the model in place, its model server up, watched until it is stopped."""

from __future__ import annotations

import math
import socket
import threading
import time
from functools import partial
from pathlib import Path

from clary.agent import command, failures, furnish, script
from clary.agent.cell import Preparing, Request
from clary.agent.context import Context
from clary.agent.failures import ClientFailure
from clary.agent.lines import MetricScraper
from clary.agent.s3 import Unwanted
from clary.agent.stage import stage_model
from clary.agent.training import DOWN
from clary.agent.watch import End, LogShipper, Watch
from clary.contract.instance import ExitRecord
from clary.contract.link import Health
from clary.contract.sockets import reached
from clary.sandbox import Confinement
from clary.sandbox.limits import Group

_ENTRIES = {"builtin": "serving", "framework": "script-serving", "folder": "command-serving", "container": ""}
_GRACE = 30.0  # seconds between SIGTERM and SIGKILL
_PING_TIMEOUT = 2.0  # seconds for the whole answer's first line
_PING = b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_HEALTHY = b"HTTP/1.1 200 "
_PING_PERIOD = 5.0  # seconds, once it is healthy
_FIRST_PERIOD, _LONGEST_FIRST_PERIOD = 0.005, 0.25  # while it starts, in between:
_SHARE = 0.05  # of the time that it has taken so far
_FAILURES = 3  # pings in a row before it counts as unhealthy


class StartupTimeout(Exception):
    """No ping was answered in time."""


def run(context: Context) -> ExitRecord:
    """Never raises but for defects: what goes wrong is in the record."""
    started = time.time()
    group = Group((), limits_memory=False, limits_processes=False)
    status: int | None = None
    try:
        context.phase("Starting", "Preparing the instance")
        furnish.make_tree(context)
        group = furnish.make_limits(context)
        sockets = furnish.make_socket_folder(context)
        with context.prepared(partial(_request, context, group, sockets), partial(_stage, context)) as preparation:
            end, status = _serve(context, preparation, sockets / furnish.MODEL_SOCKET)
        return _record(context, end, status, started, context.hint(status, group))
    except Unwanted:
        if context.orders.stop and not context.orders.down:
            return ExitRecord("stopped", status, "", started, time.time())
        return ExitRecord("lost", status, DOWN, started, time.time())
    except StartupTimeout:
        text = (
            f"AlgorithmError: The model server did not pass the ping health check within "
            f"{context.spec.startup_timeout:g} seconds. Please check CloudWatch logs for this endpoint."
        )
        return ExitRecord("failed", status, text, started, time.time())
    except Exception as error:
        if failures.no_space(error):
            context.make_room()
        return ExitRecord("failed", status, failures.of_error(error), started, time.time())
    finally:
        group.remove()


def _stage(context: Context) -> None:
    context.phase("Downloading", "Downloading the model")
    s3 = context.s3()
    if context.spec.model_data:
        stage_model(s3, context.spec.model_data, context.layout.model)
    script.stage_served(context, s3)


def _request(context: Context, group: Group, sockets: Path) -> Request:
    confinement = furnish.confinement(context, group, ["model"], str(sockets))
    if context.spec.network_isolation and confinement.rung == "plain":
        raise ClientFailure(
            "EnableNetworkIsolation was asked for, but this machine cannot isolate (see `clary doctor`)."
        )
    return Request(_ENTRIES[context.spec.image.kind], confinement, _environment(context, confinement))


def _environment(context: Context, confinement: Confinement) -> dict[str, str]:
    if context.spec.image.kind == "container":
        return furnish.environment(context, confinement, {})
    service = {
        furnish.MODEL_SOCKET_VARIABLE: f"{confinement.inside_sockets}/{furnish.MODEL_SOCKET}",
        furnish.IMAGE_TAG_VARIABLE: context.spec.image.tag,
    }
    if context.spec.image.kind == "folder":
        service |= command.variables(command.of_serving(context.spec, confinement), confinement)
    return furnish.environment(context, confinement, service)


def _serve(context: Context, preparation: Preparing, model_socket: Path) -> tuple[End, int | None]:
    cell = context.begin(preparation)
    context.phase("Serving", "The model server is starting")
    pinger = Pinger(context, model_socket)
    pinger.start()
    try:
        logs = LogShipper(context.logs, MetricScraper(context.spec.metrics), context.spool.behind)
        grace = min(context.spec.stop_grace, _GRACE)
        end = Watch(cell, context.orders, logs, grace, tick=pinger.until_timeout).follow()
    finally:
        pinger.stop()
    return end, cell.status


def _record(context: Context, end: End, status: int | None, started: float, hint: str) -> ExitRecord:
    if end == "stopped":
        return ExitRecord("stopped", status, "", started, time.time())
    if end == "down":
        return ExitRecord("lost", status, DOWN, started, time.time())
    text = failures.of_job(context.layout.failure, status or 0, hint)
    return ExitRecord("failed", status, text, started, time.time())


class Pinger:
    """A thread that asks GET /ping over the model server's socket and reports changes of its health."""

    def __init__(self, context: Context, path: Path) -> None:
        self._context = context
        self._path = path
        self._ended = threading.Event()
        self._healthy = False
        self._was_healthy = False
        self._deadline = time.monotonic() + context.spec.startup_timeout
        self._thread = threading.Thread(target=self._run, name="ping", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """After this no report follows; the last says that it is not healthy."""
        self._ended.set()
        self._thread.join()
        self._report(False)

    def until_timeout(self) -> float | None:
        """Seconds until it has to be healthy, None once it was. Raises StartupTimeout."""
        if self._was_healthy:
            return None
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise StartupTimeout
        return left

    def _run(self) -> None:
        began, period, failed = time.monotonic(), _FIRST_PERIOD, 0
        while not self._ended.wait(period):
            if ping(self._path):
                failed, period = 0, _PING_PERIOD
                self._was_healthy = True
                self._report(True)
                continue
            failed += 1
            if failed >= _FAILURES:
                self._report(False)
            taken = math.inf if self._was_healthy else time.monotonic() - began
            period = min(max(_FIRST_PERIOD, taken * _SHARE), _LONGEST_FIRST_PERIOD)

    def _report(self, healthy: bool) -> None:
        if healthy != self._healthy:
            self._healthy = healthy
            self._context.report(Health(healthy, str(self._path) if healthy else ""))


def ping(path: Path) -> bool:
    """Whether GET /ping is answered with 200, in time as a whole: a server that dribbles is not healthy."""
    end = time.monotonic() + _PING_TIMEOUT
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_PING_TIMEOUT)
            with reached(path) as short:
                connection.connect(short)
            connection.sendall(_PING)
            line = b""
            while len(line) < len(_HEALTHY) and (left := end - time.monotonic()) > 0:
                connection.settimeout(left)
                piece = connection.recv(len(_HEALTHY) - len(line))
                if not piece:
                    break
                line += piece
    except OSError:
        return False
    return line.startswith(b"HTTP/1.") and line.endswith(_HEALTHY[-5:])
