"""Deleted files, freed in the background: some disks are told of every block, which takes milliseconds for each MiB."""

from __future__ import annotations

import os
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path

_MOST = 64  # open descriptors; beyond that whoever deletes waits for the disk


class Freeing:
    """Deletes files. A name is gone at once; the bytes go when a thread closes the file. After a crash the file system
    frees them by itself, because no name leads to them."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._waiting: deque[int] = deque()
        self._working = False

    def unlink(self, file: Path) -> None:
        """Fine when there is none."""
        with suppress(FileNotFoundError):
            descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                file.unlink()
            finally:
                self._free(descriptor)

    def _free(self, descriptor: int) -> None:
        with self._mutex:
            waits = len(self._waiting) < _MOST
            if waits:
                self._waiting.append(descriptor)
                if not self._working:
                    threading.Thread(target=self._work, name="freeing", daemon=True).start()
                    self._working = True
        if not waits:
            os.close(descriptor)

    def _work(self) -> None:
        while True:
            with self._mutex:
                if not self._waiting:
                    self._working = False
                    return
                descriptor = self._waiting.popleft()
            os.close(descriptor)
