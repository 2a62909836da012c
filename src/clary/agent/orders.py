"""What others want of the agent: stop (by the link), or the end of everything (SIGTERM: Clary goes down)."""

from __future__ import annotations

import os


class Orders:
    """Set from the link's thread and from a signal handler; `fileno` becomes readable whenever one is given."""

    def __init__(self) -> None:
        self._event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.stop = False
        self.down = False
        self.refused = ""

    def fileno(self) -> int:
        return self._event

    def ask_stop(self) -> None:
        self.stop = True
        os.eventfd_write(self._event, 1)

    def ask_down(self) -> None:
        self.down = True
        os.eventfd_write(self._event, 1)

    def refuse(self, reason: str) -> None:
        """The control plane does not know this instance (any more): nobody waits for it."""
        self.refused = reason
        os.eventfd_write(self._event, 1)

    def clear(self) -> None:
        """Makes `fileno` unreadable until the next order."""
        try:
            os.eventfd_read(self._event)
        except BlockingIOError:
            return

    @property
    def wanted(self) -> bool:
        """Whether the instance should go on."""
        return not (self.stop or self.down or self.refused)
