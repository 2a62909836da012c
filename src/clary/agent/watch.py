"""Follows one sandbox from its start to its end: ships what it prints, keeps its deadlines, obeys orders."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from clary.agent.cell import Cell
from clary.agent.lines import LineSplitter, MetricScraper
from clary.agent.orders import Orders

End = Literal["exited", "stopped", "max-runtime", "down"]

_READ = 65536
_REST = 0.005  # seconds between two looks at what a job prints: its lines come one by one, a look costs as much as ten
_GATHER, _GATHER_LONGER = 0.1, 0.25  # seconds between log batches of a job that prints all the time
_DRAIN = 5.0  # seconds for the streams to end after the job did
_LAST_GRACE = 5.0  # seconds for init to end everything before it is killed itself


class LogShipper:
    """Lines in, batches out: the first at once, then one each 0.1 s while there is more, or each 0.25 s while the
    server is `behind` with what it was sent: a batch costs it as much as fifty lines."""

    def __init__(
        self, send: Callable[[list[tuple[int, str]]], None], scraper: MetricScraper, behind: Callable[[], bool]
    ) -> None:
        self._send = send
        self._behind = behind
        self._scraper = scraper
        self._pending: list[tuple[int, str]] = []
        self._sent_at = 0.0

    def add(self, lines: list[str]) -> None:
        now = time.time()
        for line in lines:
            self._pending.append((int(now * 1000), line))
            self._scraper.scan(line, now)

    def due(self) -> float | None:
        """Seconds until the pending lines have to go; None when there are none."""
        if not self._pending:
            return None
        gather = _GATHER_LONGER if self._behind() else _GATHER
        return max(0.0, self._sent_at + gather - time.monotonic())

    def flush(self, force: bool = False) -> None:
        if self._pending and (force or self.due() == 0.0):
            self._send(self._pending)
            self._pending = []
            self._sent_at = time.monotonic()


@dataclass
class _Ending:
    """`why` and until when the job may take to end by itself (monotonic)."""

    why: End
    until: float
    killed: bool = field(default=False)


class Watch:
    """`overdue` is called when the deadline has come; `tick` between events, returning the seconds until it wants to be
    called again (None: never); what it raises ends the job. `follow` returns why the job ended; `cell.status` then
    holds its status."""

    def __init__(
        self,
        cell: Cell,
        orders: Orders,
        logs: LogShipper,
        grace: float,
        deadline: float | None = None,
        tick: Callable[[], float | None] = lambda: None,
        overdue: Callable[[], None] = lambda: None,
    ) -> None:
        self._cell = cell
        self._orders = orders
        self._logs = logs
        self._grace = grace
        self._deadline = deadline
        self._tick = tick
        self._overdue = overdue
        self._streams = {cell.stdout: LineSplitter(), cell.stderr: LineSplitter()}
        self._rests_until = 0.0  # on the monotonic clock
        self._ending: _Ending | None = None

    def follow(self) -> End:
        try:
            while not self._cell.ended:
                self._judge()
                self._step(self._pause(self._tick()))
            self._drain()
        finally:
            self._cell.close()
        return self._ending.why if self._ending else "exited"

    def _judge(self) -> None:
        """Begins an ending, or makes the one that goes on too long final."""
        now = time.monotonic()
        if self._orders.down or self._orders.refused:
            if self._ending is None or self._ending.why != "down":
                self._ending = _Ending("down", now, killed=False)
        elif self._ending is None and self._orders.stop:
            self._begin("stopped", now)
        elif self._ending is None and self._deadline is not None and now >= self._deadline:
            self._begin("max-runtime", now)
            self._overdue()
        if self._ending and now >= self._ending.until:
            (self._cell.destroy if self._ending.killed else self._cell.kill)()
            self._ending.killed = True
            self._ending.until = now + _LAST_GRACE

    def _begin(self, why: End, now: float) -> None:
        self._cell.terminate()
        self._ending = _Ending(why, now + self._grace)

    def _pause(self, tick: float | None) -> float | None:
        now = time.monotonic()
        waits = [self._logs.due(), tick]
        if self._ending:
            waits.append(self._ending.until - now)
        elif self._deadline is not None:
            waits.append(self._deadline - now)
        known = [max(0.0, each) for each in waits if each is not None]
        return min(known, default=None)

    def _step(self, timeout: float | None) -> None:
        watched: list[int] = [self._cell.control.fileno(), self._orders.fileno()]
        rest = self._rests_until - time.monotonic()
        if rest > 0:
            timeout = rest if timeout is None else min(rest, timeout)
        else:
            watched += self._streams
        ready = select.select(watched, [], [], timeout)[0]
        for descriptor in ready:
            if descriptor in self._streams:
                self._read(descriptor)
                self._rests_until = time.monotonic() + _REST
        if self._cell.control.fileno() in ready:
            self._cell.hear()
        if self._orders.fileno() in ready:
            self._orders.clear()
        self._logs.flush()

    def _read(self, descriptor: int) -> None:
        data = os.read(descriptor, _READ)
        self._logs.add(self._streams[descriptor].feed(data, final=not data))
        if not data:
            del self._streams[descriptor]

    def _drain(self) -> None:
        """What is still in the pipes. They end with the last process; a plain process may have left one behind."""
        until = time.monotonic() + (_DRAIN if self._cell.streams_end else 0.0)
        ready: Sequence[int] = list(self._streams)
        while self._streams and ready:
            ready = select.select(list(self._streams), [], [], max(0.0, until - time.monotonic()))[0]
            for descriptor in ready:
                self._read(descriptor)
        for splitter in self._streams.values():
            self._logs.add(splitter.feed(b"", final=True))
        self._logs.flush(force=True)
