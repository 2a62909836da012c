"""Time as an effect, so that tests can hold it still."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """`now` is seconds since the epoch (UTC, float); `monotonic` never goes back and is for measuring."""

    def now(self) -> float: ...

    def monotonic(self) -> float: ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()
