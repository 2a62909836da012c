"""Servers of a model: one that is up, its answers held to the model's own, what a round of load costs it."""

from __future__ import annotations

import os
import signal
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse

from measure import processes
from measure.load import Load
from measure.rounds import Spread

SECONDS = 1.0  # of load in one sample
_CHECKED = 25  # answers held to the model's after each sample
_PATIENCE = 90.0  # seconds for the first answer


@dataclass
class Serving:
    """A running server. `requests` are whole HTTP requests, one for each of the model's `expected` answers, to which
    its own are held bit for bit (float32); `read` gives the number in an answer's body.
    Without `expected` (a floor) answers are not looked at. One that `rests` is stopped between its turns: its own
    housekeeping would fall on the others."""

    port: int
    requests: Sequence[bytes]
    expected: Sequence[float]
    read: Callable[[bytes], float]
    pids: Callable[[], set[int]]
    rests: bool = False
    started: float = field(default_factory=time.monotonic)
    start: float = 0.0

    def wait(self) -> None:
        """Until the first right answer; `start` then says how many seconds it took. Raises TimeoutError."""
        while True:
            try:
                self._check(0)
                break
            except (OSError, HTTPException, _NotYet):
                if time.monotonic() > self.started + _PATIENCE:
                    raise TimeoutError(f"no answer on port {self.port} within {_PATIENCE:.0f} s") from None
                time.sleep(0.01)
        self.start = time.monotonic() - self.started

    def once(self) -> dict[str, Spread]:
        """What is measured once: the start, and the memory of all its processes now."""
        return {"start s": Spread.of([self.start]), "MB": Spread.of([processes.memory(self.pids())])}

    def contender(self) -> Callable[[], dict[str, float]]:
        """What a round calls: load from one connection and from 16, then a look at the answers."""
        load = Load(self.port, self.requests)

        def sample() -> dict[str, float]:
            self._signal(signal.SIGCONT)
            figures = {}
            for connections in (1, 16):
                before = processes.cpu_seconds(self.pids())
                run = load.run(connections, SECONDS)
                used = processes.cpu_seconds(self.pids()) - before
                figures |= {f"{figure} at {connections}": value for figure, value in run.items()}
                figures[f"CPU us at {connections}"] = used / (run["req/s"] * SECONDS) * 1e6
            self.check()
            self._signal(signal.SIGSTOP)
            return figures

        self._signal(signal.SIGSTOP)
        return sample

    def check(self) -> None:
        """Holds answers from all over the rows to the model's. Raises RuntimeError at the first wrong one."""
        step = max(1, len(self.expected) // _CHECKED)
        for number in range(0, len(self.expected), step):
            self._check(number)

    def _signal(self, number: int) -> None:
        for pid in self.pids() if self.rests else ():
            os.kill(pid, number)

    def _check(self, number: int) -> None:
        status, body = self._ask(self.requests[number])
        if status != 200:
            raise _NotYet(f"port {self.port} answered {status}: {body[:300]!r}")
        if self.expected and _bits(self.read(body)) != _bits(self.expected[number]):
            raise RuntimeError(f"port {self.port} answered {body!r}, the model says {self.expected[number]!r}")

    def _ask(self, request: bytes) -> tuple[int, bytes]:
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(request)
            answer = HTTPResponse(connection, method="POST")
            answer.begin()
            return answer.status, answer.read()


class _NotYet(RuntimeError):
    """An answer that is no success."""


def _bits(value: float) -> bytes:
    return struct.pack("<f", value)
