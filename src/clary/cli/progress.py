"""How far something long is: one line of a terminal, written over and over."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_WIDTH = 30
_EVERY = 0.1  # seconds between two pictures


class Progress:
    """Shows nothing where stderr is no terminal, or when it is not `shown`."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown and sys.stderr.isatty()
        self._due = 0.0

    def bytes(self, words: str, done: int, total: int) -> None:
        self.part(f"{words} {done / 1024**2:,.0f} of {total / 1024**2:,.0f} MiB", done, total)

    def part(self, words: str, done: int, total: int) -> None:
        now = time.monotonic()
        if not self._shown or now < self._due:
            return
        self._due = now + _EVERY
        full = _WIDTH if total <= 0 else min(_WIDTH, _WIDTH * done // total)
        print(f"\r\033[K[{'#' * full}{'.' * (_WIDTH - full)}] {words}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


@contextmanager
def progress(as_json: bool) -> Iterator[Progress]:
    """For people; the line is gone afterwards."""
    shown = Progress(not as_json)
    try:
        yield shown
    finally:
        shown.clear()
