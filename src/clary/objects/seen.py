"""What was found right a moment ago, and need not be verified again to be sent again.

A file that is written to, cut, replaced or touched in any way through its file system has another change time, which
no program can set: what is remembered of it holds no longer. What comes off a disk otherwise than it was written shows
when it is verified again, which is put off by no more than SECONDS, and another SECONDS where one process has it from
another.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

SECONDS = 30.0
_SETTLED_NS = 50_000_000  # clocks of files may stand still for some milliseconds: a change within them shows no trace
_MOST = 256  # files

Generation = tuple[int, ...]
"""Device, inode, size, time of the last write and of the last change of any kind, in nanoseconds."""


def generation(file: int | str) -> Generation:
    """Of an open file, or a path. Raises OSError."""
    found = os.stat(file)  # noqa: PTH116 - a Path costs more than the call
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


class _File:
    __slots__ = ("blocks", "generation", "until")

    def __init__(self, generation: Generation, until: float) -> None:
        self.generation = generation
        self.until = until
        self.blocks = bytearray()  # 1 for each that was right


class Seen:
    """By file and block. Safe to use from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._mutex = threading.Lock()
        self._files: OrderedDict[str, _File] = OrderedDict()

    def run(self, name: str, now: Generation, first: int, end: int) -> int:
        """How many blocks from `first` on, up to before `end`, were right in the file as it is now."""
        with self._mutex:
            file = self._files.get(name)
            if file is None or file.generation != now or file.until <= self._clock():
                return 0
            stop = file.blocks.find(0, first, end)
            return max(0, (min(end, len(file.blocks)) if stop < 0 else stop) - first)

    def note(self, name: str, now: Generation, first: int, end: int) -> None:
        """These blocks were right; `now` is from before they were read. Nothing is noted of a file that was changed so
        recently that another change might not show."""
        if time.time_ns() - now[-1] >= _SETTLED_NS:
            self.trust(name, now, first, end)

    def trust(self, name: str, now: Generation, first: int, end: int) -> None:
        """As `note`, of a file that nobody else has had a chance to change."""
        with self._mutex:
            file = self._files.get(name)
            if file is None or file.generation != now or file.until <= self._clock():
                file = self._files[name] = _File(now, self._clock() + SECONDS)
            if len(file.blocks) < end:
                file.blocks.extend(bytes(end - len(file.blocks)))
            file.blocks[first:end] = b"\1" * (end - first)
            self._files.move_to_end(name)
            if len(self._files) > _MOST:
                self._files.popitem(last=False)
