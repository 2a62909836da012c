"""A client's connection as the exchange on it uses it: writes to the client, and holds it back."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable

from clary.edge.bodies import Framing, Sized
from clary.edge.deadlines import BODY_SECONDS, NEVER, Deadlines
from clary.edge.heads import Head
from clary.edge.peer import Peer
from clary.edge.replies import Dates

_DRAIN = 256 * 1024  # the rest of a body that is read over rather than ending the connection


class Carrier(asyncio.Protocol):
    """`write` and `transport` are there once the connection is made; `deadline` is when the client's time is over."""

    def __init__(self, scheme: str, peer: Peer, deadlines: Deadlines, dates: Dates) -> None:
        self.scheme = scheme
        self.peer = peer
        self.dates = dates
        self.deadline = NEVER
        self.transport: asyncio.Transport
        self.write: Callable[[bytes], None]  # the transport's own
        self._deadlines = deadlines
        self._body: Framing | None = None  # of the current request, while it has not ended
        self._held = False
        self._last = False  # no request after this one
        self._continue_owed = False
        self._gone = False

    def write_pieces(self, pieces: tuple[bytes, ...]) -> None:
        self.transport.writelines(pieces)

    def send_continue(self) -> None:
        if self._continue_owed:
            self._continue_owed = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def hold(self, held: bool) -> None:
        """Stops or goes on reading from the client."""
        if held == self._held or self._gone:
            return
        self._held = held
        if held:
            self.transport.pause_reading()
            if self._body is not None:
                self.deadline = NEVER
        else:
            self.transport.resume_reading()
            if self._body is not None:
                self.deadline = self._deadlines.now() + BODY_SECONDS

    def closing_line(self, head: Head) -> bytes:
        """The Connection header of the response that is about to go out, decided here for good."""
        if not head.keep_alive or (self._body is not None and not self._drainable()):
            self._last = True
        if self._last:
            return b"Connection: close\r\n"
        return b"Connection: keep-alive\r\n" if head.old else b""

    @abstractmethod
    def exchange_ended(self) -> None:
        """The response is out; the next request may begin."""

    @abstractmethod
    def abort(self) -> None:
        """Ends the connection at once."""

    def _drainable(self) -> bool:
        return isinstance(self._body, Sized) and self._body.left <= _DRAIN and not self._continue_owed
