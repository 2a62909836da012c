"""The agent: one process that owns one instance from its claim to its exit record."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
from pathlib import Path

from clary.agent import serving, training
from clary.agent.context import Context
from clary.agent.link import Link
from clary.agent.orders import Orders
from clary.agent.spool import Spool
from clary.contract.folder import InstanceFolder, write_durably
from clary.contract.instance import ExitRecord, InstanceSpec
from clary.sandbox import Isolation
from clary.sandbox.limits import yield_cores

_RUNS = {"training": training.run, "serving": serving.run}


def run(folder: InstanceFolder, inside: str, isolation: Isolation, authorities: str = "") -> None:
    """The whole life of an agent that holds the folder's lock. Returns when the exit record was acknowledged, or when
    Clary goes down: then the spool and the record stay for the next control plane."""
    spec = InstanceSpec.from_json(folder.spec.read_text())
    yield_cores(spec.nice)
    orders = Orders()
    signal.signal(signal.SIGTERM, lambda *_: orders.ask_down())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    spool = Spool(folder.spool)
    link = Link(spec, spool, orders)
    link.start()
    context = Context(spec, folder, inside, isolation, orders, spool, link, authorities)
    with context.afterwards:
        _leave(context, _run(context))
    while not (orders.down or orders.refused):
        if spool.wait_empty(0.2):
            return


def _leave(context: Context, record: ExitRecord) -> None:
    """The record, in the folder and on its way; waits for room on a full disk."""
    while True:
        try:
            write_durably(context.folder.exit, record.to_json())
            context.report(record)
            return
        except OSError:
            if context.orders.down or context.orders.refused:
                raise
            time.sleep(1)


def _run(context: Context) -> ExitRecord:
    started = time.time()
    try:
        with context.closing:
            return _RUNS[context.spec.purpose](context)
    except Exception as error:
        traceback.print_exc()
        text = f"InternalServerError: {type(error).__name__}: {error}"
        return ExitRecord("failed", None, text, started, time.time())


def start(folder: InstanceFolder, inside: str, isolation: Isolation, pid_file: Path, authorities: str) -> None:
    """The forked process, in a session of its own: streams to the folder's agent.log, then `run`, then the end."""
    status = 1
    try:
        os.umask(0o022)
        log = os.open(folder.path / "agent.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        run(folder, inside, isolation, authorities)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
            pid_file.unlink()
        os._exit(status)
