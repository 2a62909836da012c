"""Which blobs are being read, how many hold all of them, and which are to go: what stands between a delete and the
bytes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator


class Pins:
    """Deletes wait for readers and holds. `free(blob)` is called for each blob that nobody needs any more."""

    def __init__(self, free: Callable[[str], None]) -> None:
        self._free = free
        self._mutex = threading.Lock()
        self._readers: dict[str, int] = {}
        self._holds = 0
        self._doomed: set[str] = set()

    def add(self, blob: str) -> None:
        """One more reader."""
        with self._mutex:
            self._readers[blob] = self._readers.get(blob, 0) + 1

    def drop(self, blob: str) -> None:
        """One reader less; the last one of a doomed blob frees it."""
        if self._is_last(blob):
            self._free(blob)

    def doom(self, blob: str) -> None:
        """Frees the blob now, or when its last reader is done and the last hold over."""
        with self._mutex:
            waits = blob in self._readers or self._holds > 0
            if waits:
                self._doomed.add(blob)
        if not waits:
            self._free(blob)

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Nothing is freed before the last hold is over."""
        with self._mutex:
            self._holds += 1
        try:
            yield
        finally:
            for blob in self._let_go():
                self._free(blob)

    def _is_last(self, blob: str) -> bool:
        with self._mutex:
            left = self._readers[blob] - 1
            if left:
                self._readers[blob] = left
                return False
            del self._readers[blob]
            if self._holds or blob not in self._doomed:
                return False
            self._doomed.discard(blob)
            return True

    def _let_go(self) -> list[str]:
        with self._mutex:
            self._holds -= 1
            free = [] if self._holds else [blob for blob in self._doomed if blob not in self._readers]
            self._doomed.difference_update(free)
            return free
