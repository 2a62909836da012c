"""Reports for the control plane, kept in a file until it has acknowledged them, in order.

A position counts bytes since the spool was made; the file is cut when everything in it was acknowledged. Written by the
agent's main thread, read by the link's thread. Whoever finds the file after the agent's death can read it (`reports`):
each report may be handled twice.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path

from clary.contract.instance import ExitRecord, Phase
from clary.contract.link import Health, LogBatch, Report, ReportKind, encode

_PATIENCE = 10.0  # seconds for somebody to make room on a full disk
_ROOM = 1 << 20  # bytes free on a disk that is not full
_WORTH_CUTTING = 4 * 1024 * 1024
_KINDS: dict[type, ReportKind] = {Phase: "phase", LogBatch: "logs", Health: "health", ExitRecord: "exit"}


class Spool:
    """An append-only file of reports. Positions are its byte offsets since the agent's beginning."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab+", buffering=0)
        self._lock = threading.Condition()
        self._start = 0  # the position of the file's first byte
        self._end = 0
        self._acknowledged = 0
        self._full_since = 0.0  # on the monotonic clock; 0 while there is room
        self._file.truncate(0)

    def append(self, content: Phase | LogBatch | Health | ExitRecord) -> None:
        """Waits, and so holds the job back, while the disk is full. Raises OSError when it stays so."""
        with self._lock:
            line = encode(Report(self._end, _KINDS[type(content)], vars(content)))
            self._write(line)
            self._end += len(line)
            self._lock.notify_all()

    def _write(self, line: bytes) -> None:
        while (problem := self._try(line)) is not None:
            now = time.monotonic()
            self._full_since = self._full_since or now
            if now - self._full_since > _PATIENCE:
                raise problem
            time.sleep(0.5)
        if self._full_since and self._room() > _ROOM:  # a line that just fitted is no relief
            self._full_since = 0.0

    def _try(self, line: bytes) -> OSError | None:
        """Why the line could not be written; then nothing of it stays."""
        problem = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        try:
            if self._file.write(line) == len(line):
                return None
        except OSError as error:
            problem = error
        self._file.truncate(self._end - self._start)
        return problem

    def _room(self) -> int:
        """Free bytes of the disk."""
        found = os.fstatvfs(self._file.fileno())
        return found.f_bavail * found.f_frsize

    def read(self, position: int, size: int) -> bytes:
        """Whole lines from `position` on: `size` bytes or, where the next line is longer, that line."""
        with self._lock:
            self._file.seek(position - self._start)
            data = self._file.read(size)
            whole = data.rfind(b"\n") + 1
            if not whole and data:
                self._file.seek(position - self._start)
                return self._file.readline()
            return data[:whole]

    def acknowledge(self, position: int) -> None:
        with self._lock:
            self._acknowledged = max(self._acknowledged, position)
            if self._acknowledged == self._end and self._end - self._start > _WORTH_CUTTING:
                self._file.truncate(0)
                self._start = self._end
            self._lock.notify_all()

    def behind(self) -> bool:
        """Whether the server has something of it still to acknowledge."""
        return self._acknowledged < self._end

    @property
    def acknowledged(self) -> int:
        return self._acknowledged

    @property
    def end(self) -> int:
        return self._end

    def wait_empty(self, timeout: float) -> bool:
        """Whether all is acknowledged, after at most `timeout` seconds."""
        with self._lock:
            return self._lock.wait_for(lambda: self._acknowledged == self._end, timeout)
