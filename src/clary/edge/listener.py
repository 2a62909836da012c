"""Accepting connections: TLS or not by the first byte, on one port, before any transport exists."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable

from clary.edge.deadlines import Deadlines
from clary.edge.tls import LateContext

log = logging.getLogger(__name__)

FIRST_BYTE_SECONDS = 10.0
_HANDSHAKE_SECONDS = 10.0
_TLS_HANDSHAKE = b"\x16"
_ONCE = 64  # connections accepted before others have a turn
_EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))

Factory = Callable[[str, str], asyncio.Protocol]


class Listener:
    """`make(scheme, peer)` gives the protocol of a connection."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listening: socket.socket,
        context: LateContext,
        make: Factory,
        deadlines: Deadlines,
    ) -> None:
        self._loop = loop
        self._listening = listening
        self._context = context
        self._make = make
        self._deadlines = deadlines
        self._opening: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        listening = self._listening
        listening.setblocking(False)
        if listening.family != socket.AF_UNIX:
            # The kernel wakes us when there is something to look at, or after about a second of silence.
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 1)
        self._loop.add_reader(listening.fileno(), self._accept)

    def stop(self) -> None:
        """Takes no more connections; the socket stays open, it is the supervisor's."""
        self._loop.remove_reader(self._listening.fileno())

    def adopt(self, connection: socket.socket, peer: str) -> None:
        """Serves a connected socket as if it had just been accepted."""
        if not self._look(connection, peer):
            _Silent(self, connection, peer).wait()

    def _accept(self) -> None:
        for _ in range(_ONCE):
            try:
                connection, address = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._rest(error)
                return
            connection.setblocking(False)
            self.adopt(connection, address[0])

    def _rest(self, error: OSError) -> None:
        """Out of descriptors or memory: connections wait in the kernel until some are free."""
        if error.errno not in _EXHAUSTED:
            raise error
        log.warning("cannot accept connections for now: %s", error)
        self.stop()
        self._loop.call_later(0.5, self.start)

    def _look(self, connection: socket.socket, peer: str) -> bool:
        """Hands the socket on by its first byte; False when that has not come yet."""
        try:
            first = connection.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            first = b""
        if not first:
            connection.close()
            return True
        task = self._loop.create_task(self._open(connection, peer, first == _TLS_HANDSHAKE))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
        return True

    async def _open(self, connection: socket.socket, peer: str, secure: bool) -> None:
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        scheme = "https" if secure else "http"
        patience = _HANDSHAKE_SECONDS if secure else None
        try:
            context = await self._context.get() if secure else None
            await self._loop.connect_accepted_socket(
                lambda: self._make(scheme, peer), connection, ssl=context, ssl_handshake_timeout=patience
            )
        except (OSError, ValueError) as error:  # a handshake that failed is the former, a damaged authority either
            log.info("a connection from %s was not opened: %s", peer, error)
            connection.close()


class _Silent:
    """A connection that has not said anything yet."""

    def __init__(self, listener: Listener, connection: socket.socket, peer: str) -> None:
        self._listener = listener
        self._connection = connection
        self._peer = peer
        self.deadline = listener._deadlines.now() + FIRST_BYTE_SECONDS

    def wait(self) -> None:
        self._listener._loop.add_reader(self._connection.fileno(), self._speaks)
        self._listener._deadlines.add(self)

    def expire(self) -> None:
        self._leave()
        self._connection.close()

    def stop(self) -> None:
        self.expire()

    def _speaks(self) -> None:
        self._leave()
        self._listener.adopt(self._connection, self._peer)

    def _leave(self) -> None:
        self._listener._loop.remove_reader(self._connection.fileno())
        self._listener._deadlines.discard(self)
