"""How the rest of the control plane tells the loop that a record changed."""

from __future__ import annotations

import threading


class Signal:
    """Calling it wakes whoever waits; calls while nobody waits are remembered as one. `Platform.wake` is this."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._mutex = threading.Lock()
        self._called = False

    def __call__(self) -> None:
        with self._mutex:
            self._called = True
            self._event.set()

    def nudge(self) -> None:
        """Ends a wait without counting as a call."""
        self._event.set()

    def wait(self, seconds: float) -> bool:
        """Whether it was called since the last wait, after at most `seconds`."""
        self._event.wait(seconds)
        with self._mutex:
            self._event.clear()
            called, self._called = self._called, False
        return called
