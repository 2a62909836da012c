"""Data keys kept in memory for a while, so that who makes and opens them is asked seldom."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

SECONDS = 300.0
MOST = 1024


@dataclass(frozen=True, slots=True)
class DataKey:
    """A key for data, and the same key encrypted: what is stored with the data."""

    plaintext: bytes = field(repr=False)
    sealed: bytes


class KeptDataKeys:
    """Safe between threads. A key is given out for `seconds` from when it was made and no longer; beyond `most` of them
    the one that was asked for longest ago is dropped. Whether somebody may have a key is not asked here."""

    def __init__(self, seconds: float = SECONDS, most: int = MOST) -> None:
        self._seconds = seconds
        self._most = most
        self._mutex = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[float, DataKey]] = OrderedDict()

    def get(self, name: Hashable, now: float, make: Callable[[], DataKey]) -> DataKey:
        """The key that is kept under `name`, else the one that `make` returns; `now` is on a monotonic clock. What
        `make` raises passes through. Of threads that come at once each may make one, and all are given the first."""
        return self._find(name, now) or self._keep(name, now, make())

    def _find(self, name: Hashable, now: float) -> DataKey | None:
        with self._mutex:
            until, key = self._kept.get(name, (now, None))
            if key is None or until <= now:
                self._kept.pop(name, None)
                return None
            self._kept.move_to_end(name)
            return key

    def _keep(self, name: Hashable, now: float, made: DataKey) -> DataKey:
        with self._mutex:
            until, key = self._kept.get(name, (now, None))
            if key is not None and until > now:
                return key
            for old in [each for each, (until, _) in self._kept.items() if until <= now]:
                del self._kept[old]
            self._kept[name] = (now + self._seconds, made)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
            return made
