"""A hash that is computed beside what else is done with the bytes: MD5 is slower than the disk and the network."""

from __future__ import annotations

import queue
import threading

from clary.services.s3.checksums import Hash

_BATCH = 1 << 20  # bytes that are worth waking a thread for
_AHEAD = 4  # batches that may wait: what bounds the memory


class Beside:
    """`hashed`, updated by a thread of its own once there are bytes enough to be worth it. Pieces must not change after
    `update`. Whoever makes one calls `digest` or `close` in the end; both end the thread."""

    def __init__(self, hashed: Hash) -> None:
        self._hashed = hashed
        self._batch: list[bytes] = []
        self._size = 0
        self._queue: queue.Queue[list[bytes]] = queue.Queue(_AHEAD)
        self._thread: threading.Thread | None = None

    def update(self, data: bytes) -> None:
        """Waits while the thread is too far behind."""
        self._batch.append(data)
        self._size += len(data)
        if self._size >= _BATCH:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="hash", daemon=True)
                self._thread.start()
            self._queue.put(self._batch)
            self._batch, self._size = [], 0

    def digest(self) -> bytes:
        """Of all that was given."""
        self.close()
        for piece in self._batch:
            self._hashed.update(piece)
        self._batch = []
        return self._hashed.digest()

    def close(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put([])
            thread.join()

    def _work(self) -> None:
        while batch := self._queue.get():
            for piece in batch:
                self._hashed.update(piece)
