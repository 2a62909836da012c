"""What agents report, taken together by one thread: a flood of log lines must not keep the API from its turns."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from clary.compute.reports import Content, Intake
from clary.contract.instance import InstanceSpec
from clary.contract.link import LogBatch

_MOST = 8_000  # lines that one transaction takes, and the rest of the batch that goes beyond
_REST = 2.0  # times as long as the last transaction took
_LONGEST_REST = 0.1  # seconds

Taken = Callable[[Exception | None], None]


class Ingest:
    """Makes durable what is brought, all that has come together in one transaction. It rests after each for twice as
    long as that took, so that log lines have a third of the time at most; anything but log lines cuts a rest short."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._changed = threading.Condition()
        self._brought: deque[_Brought] = deque()
        self._rest_until = 0.0  # on the monotonic clock
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="ingest", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Returns when the transaction under way has ended; what was not taken its agents send again."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def bring(self, spec: InstanceSpec, contents: Sequence[Content], taken: Taken) -> None:
        """`contents` are taken in order; then `taken` is called on the ingest's thread, with what hindered it or None,
        and must neither block nor raise."""
        brought = _Brought(spec, contents, taken)
        with self._changed:
            self._brought.append(brought)
            if brought.urgent or len(self._brought) == 1:
                self._changed.notify()

    def _run(self) -> None:
        while chosen := self._next():
            begin = time.monotonic()
            self._take(chosen)
            end = time.monotonic()
            self._rest_until = end + min(_LONGEST_REST, _REST * (end - begin))

    def _next(self) -> list[_Brought]:
        """In the order in which they came; nothing when it is over."""
        chosen: list[_Brought] = []
        lines = 0
        with self._changed:
            self._changed.wait_for(lambda: self._brought or self._closing)
            self._changed.wait_for(self._hurries, self._rest_until - time.monotonic())
            while self._brought and lines < _MOST and not self._closing:
                chosen.append(self._brought.popleft())
                lines += chosen[-1].lines
        return chosen

    def _hurries(self) -> bool:
        return self._closing or any(each.urgent for each in self._brought)

    def _take(self, chosen: Sequence[_Brought]) -> None:
        error = self._hindered(chosen)
        for each in chosen:
            # one agent's trouble is no other's
            each.taken(self._hindered([each]) if error and len(chosen) > 1 else error)

    def _hindered(self, chosen: Sequence[_Brought]) -> Exception | None:
        try:
            self._intake.take([(each.spec, each.contents) for each in chosen])
        except Exception as error:
            return error
        return None


class _Brought:
    """What came together from one agent; `urgent`: there is more than log lines in it."""

    def __init__(self, spec: InstanceSpec, contents: Sequence[Content], taken: Taken) -> None:
        self.spec = spec
        self.contents = contents
        self.taken = taken
        self.lines = sum(len(each.events) for each in contents if isinstance(each, LogBatch))
        self.urgent = not all(isinstance(each, LogBatch) for each in contents)
