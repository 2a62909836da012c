"""A clock that moves when it is told to."""

from __future__ import annotations


class FrozenClock:
    """Implements clary.clock.Clock. Seconds since the epoch."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        """Time never goes back: raises ValueError."""
        if seconds < 0:
            raise ValueError("time does not go back")
        self._now += seconds
