"""Who of a pool's threads may run.

Threads of Python that run at once only take the interpreter from each other, and each hand-over costs more than the
steps between two of them: sixteen threads serve half as many requests as one. So few run at once. One that has been at
its exchange for a while waits for something (a client, a disk, a lock): it is not counted, and another gets a turn.
"""

from __future__ import annotations

import threading

_TICK = 0.003  # seconds; an exchange that has gone on for a whole tick is late
_IDLE_TICKS = 30  # after so many without an exchange nobody watches until the next one


class Turns:
    """`at_once` threads of `threads` have a turn, and as many more as are late. A thread calls `take`, which blocks,
    then `begin` and `end` around each exchange; when `end` says False its turn is over and it has to take another."""

    def __init__(self, at_once: int, threads: int) -> None:
        self._at_once = at_once
        self._threads = threads
        self._held = min(at_once, threads)
        self._free = threading.Semaphore(self._held)
        self._mutex = threading.Lock()
        self._tick = 0
        self._begun: dict[int, int] = {}  # thread -> the tick in which its exchange began
        self._busy = threading.Event()
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="turns", daemon=True)

    def start(self) -> None:
        self._watcher.start()

    def stop(self) -> None:
        """Whoever waits for a turn gets one."""
        self._stopping.set()
        self._busy.set()
        self._free.release(self._threads)

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
            if self._held - self._late() <= self._at_once:
                return True
            self._held -= 1
            return False

    def _late(self) -> int:
        if self._held <= self._at_once:
            return 0
        return sum(self._tick - begun > 1 for begun in self._begun.values())

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
                late = sum(self._tick - begun > 1 for begun in self._begun.values())
                more = min(self._at_once - (self._held - late), self._threads - self._held)
                if more > 0:
                    self._held += more
                    self._free.release(more)
