"""Time limits of many things under way with one timer: most end in time, so none is given a timer of its own."""

from __future__ import annotations

import asyncio
import math
from typing import Protocol


class Limited(Protocol):
    """`expired` is called at most once, after its time and not before."""

    def expired(self) -> None: ...


class TimeLimits:
    """On `loop`, in whose clock the times are. The one timer stands at or before the earliest end."""

    __slots__ = ("_ends", "_loop", "_next", "_timer", "now")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.now = loop.time
        self._loop = loop
        self._ends: dict[Limited, float] = {}
        self._next = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def add(self, member: Limited, end: float) -> None:
        self._ends[member] = end
        if end < self._next:
            self._arm(end)

    def discard(self, member: Limited) -> None:
        self._ends.pop(member, None)

    def _arm(self, end: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next = end
        self._timer = self._loop.call_at(end, self._look)

    def _look(self) -> None:
        now = max(self.now(), self._next)  # a loop may call a little early by its own clock
        self._timer, self._next = None, math.inf
        over = [member for member, end in self._ends.items() if end <= now]
        for member in sorted(over, key=self._ends.__getitem__):  # in the order of their ends, however late it is
            if self._ends.pop(member, None) is not None:  # none before it has ended this one
                member.expired()
        earliest = min(self._ends.values(), default=math.inf)
        if earliest < self._next:
            self._arm(earliest)
