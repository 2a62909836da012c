"""Who of a pool's threads may run.

Threads of Python that run at once only take the interpreter from each other, and each hand-over costs more than the
steps between two of them: sixteen threads serve half as many requests as one. So few run at once. One that has been at
its exchange for a while waits for something (a client, a disk, a lock): it is not counted, and another gets a turn. One
that says that it waits (`waiting`) is not counted from then on: while one commit is on its way to the disk, work goes
on at the requests that will share the next.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

AT_ONCE = 2  # threads that run: one more than the interpreter can, for when the other waits
_TICK = 0.003  # seconds; an exchange that has gone on for a whole tick is late
_IDLE_TICKS = 30  # after so many without an exchange nobody watches until the next one


class Turns:
    """`at_once` threads of `threads` have a turn, and as many more as are late. A thread calls `take`, which blocks,
    then `begin` and `end` around each exchange; when `end` says False its turn is over and it has to take another."""

    def __init__(self, at_once: int, threads: int) -> None:
        self._at_once = at_once
        self.threads = threads
        self._held = min(at_once, threads)
        self._free = threading.Semaphore(self._held)
        self._mutex = threading.Lock()
        self._tick = 0
        self._begun: dict[int, int] = {}  # thread -> the tick in which its exchange began
        self._waiting: set[int] = set()  # threads in an exchange that said so
        self._busy = threading.Event()
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="turns", daemon=True)

    def start(self) -> None:
        self._watcher.start()

    def stop(self) -> None:
        """Whoever waits for a turn gets one."""
        self._stopping.set()
        self._busy.set()
        self._free.release(self.threads)

    def take(self) -> None:
        self._free.acquire()

    def begin(self) -> None:
        with self._mutex:
            self._begun[threading.get_ident()] = self._tick
            if not self._busy.is_set():
                self._busy.set()

    def end(self) -> bool:
        with self._mutex:
            del self._begun[threading.get_ident()]
            if self._held <= self._at_once or self._held - self._uncounted() <= self._at_once:
                return True
            self._held -= 1
            return False

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Around what a thread waits for; of a thread without an exchange here nothing is made. It goes on at once when
        that is over: its turn ends with its exchange if there are too many by then."""
        thread = threading.get_ident()
        with self._mutex:
            if thread in self._begun:
                self._waiting.add(thread)
                self._grant()
        try:
            yield
        finally:
            with self._mutex:
                self._waiting.discard(thread)

    def _grant(self) -> None:
        more = min(self._at_once - (self._held - self._uncounted()), self.threads - self._held)
        if more > 0:
            self._held += more
            self._free.release(more)

    def _uncounted(self) -> int:
        late = (thread for thread, begun in self._begun.items() if self._tick - begun > 1)
        return len(self._waiting.union(late))

    def _watch(self) -> None:
        idle = 0
        while not self._stopping.is_set():
            self._busy.wait()
            self._stopping.wait(_TICK)
            with self._mutex:
                self._tick += 1
                idle = 0 if self._begun else idle + 1
                if idle > _IDLE_TICKS:
                    self._busy.clear()
                self._grant()
