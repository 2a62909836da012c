"""The first process of a server: owns the listening sockets and keeps the other programs running.

It does little on purpose, so that it need never be restarted. A program that ends is started again, at once at first
and then ever more slowly; all of them end when the supervisor does, however it ends (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from clary.contract.processes import start_ticks
from clary.server import processes, readiness
from clary.server.programs import Program

_LOG = logging.getLogger(__name__)
_PR_SET_PDEATHSIG = 1
_SLOWEST = 10.0  # seconds between two starts of a program that keeps ending
_SETTLED = 30.0  # a program that ran this long starts at once again
_HOPELESS = 3  # a program that ended so often before the server was ever ready is not tried again
_LOG_LIMIT = 16 * 1024 * 1024


class StartFailed(Exception):
    """The server did not come up; the message says what ended and shows the last lines of its log."""


@dataclass(slots=True)
class _Child:
    program: Program
    process: subprocess.Popen[bytes] | None = None
    pidfd: int = -1
    started: float = 0.0
    failures: int = 0
    due: float = field(default_factory=time.monotonic)


class Supervisor:
    """Runs `programs` in `folder`, with their pid files in `run` and what they print in `logs`. `address` is where a
    request is tried to see that the server is ready. One use; to be called from the main thread."""

    def __init__(
        self,
        programs: Sequence[Program],
        address: tuple[str, int],
        environment: Mapping[str, str],
        folder: Path,
        run: Path,
        logs: Path,
    ) -> None:
        self._children = [_Child(program) for program in programs]
        self._address = address
        self._environment = dict(environment)
        self._folder, self._run, self._logs = folder, run, logs
        self._libc = ctypes.CDLL(None)  # loaded here: a forked child must not load anything
        self._pid = os.getpid()
        self._bell, self._ringer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._stop_reason = ""
        self._answered = False
        self._ready = False
        self._poll = select.poll()
        self._poll.register(self._bell, select.POLLIN)

    def supervise(self, on_ready: Callable[[], None]) -> None:
        """Until SIGTERM or SIGINT; `on_ready` is called once, when a request was answered through the port. Raises
        StartFailed. Either way nothing that it started runs afterwards."""
        signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        before = {number: signal.signal(number, self._asked_to_stop) for number in signals}
        threading.Thread(target=self._await_answer, name="readiness", daemon=True).start()
        try:
            while not self._stop_reason:
                self._start_due()
                self._wait()
                if self._answered and not self._ready:
                    self._ready = True
                    on_ready()
            _LOG.info("stopping: %s", self._stop_reason)
        finally:
            self._stop_reason = self._stop_reason or "an error"
            self._stop()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _asked_to_stop(self, number: int, _frame: object) -> None:
        self._stop_reason = signal.Signals(number).name
        os.write(self._ringer, b"s")

    def _await_answer(self) -> None:
        if readiness.await_answer(self._address, lambda: bool(self._stop_reason)):
            self._answered = True
            os.write(self._ringer, b"r")

    def _start_due(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.process is None and child.due <= now and not self._stop_reason:
                self._start(child)

    def _start(self, child: _Child) -> None:
        program = child.program
        with _log_file(self._logs / f"{program.name}.log") as log:
            child.process = subprocess.Popen(
                program.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=program.environment(self._environment),
                cwd=self._folder,
                pass_fds=program.descriptors,
                process_group=0,  # Ctrl-C reaches the supervisor alone, which then stops them in order
                preexec_fn=self._die_with_parent,  # noqa: PLW1509 - no lock in it: prctl and getppid
            )
        child.pidfd = os.pidfd_open(child.process.pid)
        child.started = time.monotonic()
        self._poll.register(child.pidfd, select.POLLIN)
        processes.record(self._pid_file(child), child.process.pid)

    def _die_with_parent(self) -> None:
        self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self._pid:  # it ended before the line above
            os._exit(1)

    def _wait(self) -> None:
        """Until a program ends, a start is due, or the bell rings."""
        due = [child.due for child in self._children if child.process is None]
        timeout = max(0.0, min(due) - time.monotonic()) * 1000 if due else None
        ended = {descriptor for descriptor, _ in self._poll.poll(timeout)}
        if self._bell in ended:
            os.read(self._bell, 64)
        for child in self._children:
            if child.process is not None and child.pidfd in ended:
                self._ended(child, child.process)

    def _ended(self, child: _Child, process: subprocess.Popen[bytes]) -> None:
        status = _reap(process)
        self._forget(child)
        ran = time.monotonic() - child.started
        child.failures = 1 if ran > _SETTLED else child.failures + 1
        reason = f"{child.program.name} ended with {_words(status)} after {ran:.1f} s"
        if not self._ready and child.failures >= _HOPELESS:
            raise StartFailed(f"{reason}, {child.failures} times. {self._last_lines(child.program.name)}")
        wait = 0.0 if child.failures == 1 else min(_SLOWEST, 0.1 * 2.0 ** (child.failures - 2))
        child.due = time.monotonic() + wait
        _LOG.warning("%s; starting it again in %.1f s", reason, wait)

    def _forget(self, child: _Child) -> None:
        self._poll.unregister(child.pidfd)
        os.close(child.pidfd)
        child.process, child.pidfd = None, -1
        self._pid_file(child).unlink(missing_ok=True)

    def _stop(self) -> None:
        for child in self._children:
            if child.process is None:
                continue
            ticks = start_ticks(child.process.pid)
            if ticks is not None:
                target = processes.Process(child.process.pid, ticks, {})
                for _ in processes.end([target], child.program.grace):
                    _LOG.warning("%s had to be killed", child.program.name)
            _reap(child.process)
            self._forget(child)

    def _pid_file(self, child: _Child) -> Path:
        return self._run / f"{child.program.name}.pid"

    def _last_lines(self, name: str) -> str:
        path = self._logs / f"{name}.log"
        lines = path.read_text(errors="replace").splitlines()[-12:]
        return f"The end of {path}:\n" + "\n".join(f"  {line}" for line in lines)


def _reap(process: subprocess.Popen[bytes]) -> int:
    """The exit status of a program that has ended; what is left in its process group (an image build) ends with it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)  # before the wait: until then the number is not given to another
    return process.wait()


def _log_file(path: Path) -> BinaryIO:
    if path.exists() and path.stat().st_size > _LOG_LIMIT:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")


def _words(status: int) -> str:
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
