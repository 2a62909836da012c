"""Accepting connections: TLS or not by the first byte, on one port, before any transport exists."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable

from clary.edge.deadlines import NEVER, Deadlines
from clary.edge.peer import Peer
from clary.edge.tls import LateContext

log = logging.getLogger(__name__)

FIRST_BYTE_SECONDS = 10.0
_HANDSHAKE_SECONDS = 10.0
_TLS_HANDSHAKE = b"\x16"
_ONCE = 64  # connections accepted before others have a turn
_SHARE = 2  # one part in so many of all connections is the most that one share gets
_FULL_SECONDS = 0.1  # until the next look whether a connection has ended, of as many as there may be
_EXHAUSTED_SECONDS = 0.5
_SILENT_SECONDS = 60.0  # between two lines of the log that say the same
_EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))

Factory = Callable[[str, Peer], asyncio.Protocol]


class Listener:
    """`make(scheme, peer)` gives the protocol of a connection. There are at most `most` at once: further ones wait in
    the kernel. None but this machine's own addresses gets more than half of them: no other address, no network of IPv6
    addresses, no job with all its hosts. Its further ones are closed."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listening: socket.socket,
        context: LateContext,
        make: Factory,
        deadlines: Deadlines,
        most: int,
    ) -> None:
        self._loop = loop
        self._listening = listening
        self._context = context
        self._make = make
        self._deadlines = deadlines
        self._most = most
        self._opening: set[asyncio.Task[None]] = set()
        self._resting: asyncio.TimerHandle | None = None
        self._said: dict[str, float] = {}  # lines of the log -> when they were written

    def start(self) -> None:
        listening = self._listening
        listening.setblocking(False)
        if listening.family != socket.AF_UNIX:
            # The kernel wakes us when there is something to look at, or after about a second of silence.
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 1)
        self._loop.add_reader(listening.fileno(), self._accept)

    def stop(self) -> None:
        """Takes no more connections; the socket stays open, it is the supervisor's."""
        if self._resting is not None:
            self._resting.cancel()
        self._loop.remove_reader(self._listening.fileno())

    def adopt(self, connection: socket.socket, peer: Peer) -> None:
        """Serves a connected socket as if it had just been accepted."""
        if not self._look(connection, peer):
            _Silent(self, connection, peer).wait()

    def _accept(self) -> None:
        for _ in range(_ONCE):
            if len(self._deadlines) >= self._most:
                self._rest(_FULL_SECONDS, f"{self._most} connections are open, further ones wait")
                return
            try:
                connection, address = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # out of descriptors or memory
                if error.errno not in _EXHAUSTED:
                    raise
                self._rest(_EXHAUSTED_SECONDS, f"cannot accept connections for now: {error}")
                return
            peer = Peer.of(address)
            if self._is_full(peer):
                connection.close()
                continue
            connection.setblocking(False)
            self.adopt(connection, peer)

    def _is_full(self, peer: Peer) -> bool:
        if not peer.share or self._deadlines.of(peer.share) < self._most // _SHARE:
            return False
        self._say(f"{peer.share} has {self._most // _SHARE} connections open and gets no more")
        return True

    def _rest(self, seconds: float, why: str) -> None:
        """Connections wait in the kernel until some have ended."""
        self._say(why)
        self.stop()
        self._resting = self._loop.call_later(seconds, self.start)

    def _say(self, line: str) -> None:
        now = self._deadlines.now()
        self._said = {said: at for said, at in self._said.items() if at > now - _SILENT_SECONDS}
        if line not in self._said:
            self._said[line] = now
            log.warning("%s", line)

    def _look(self, connection: socket.socket, peer: Peer) -> bool:
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

    async def _open(self, connection: socket.socket, peer: Peer, secure: bool) -> None:
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        scheme = "https" if secure else "http"
        patience = _HANDSHAKE_SECONDS if secure else None
        opening = _Opening(peer, asyncio.current_task())
        self._deadlines.add(opening)
        try:
            context = await self._context.get() if secure else None
            await self._loop.connect_accepted_socket(
                lambda: self._make(scheme, peer), connection, ssl=context, ssl_handshake_timeout=patience
            )
        except (OSError, ValueError) as error:  # a handshake that failed is the former, a damaged authority either
            log.info("a connection from %s was not opened: %s", peer.address, error)
            connection.close()
        except asyncio.CancelledError:
            connection.close()
            raise
        finally:
            self._deadlines.discard(opening)


class _Opening:
    """A connection between its first byte and its protocol. The handshake keeps its own time."""

    def __init__(self, peer: Peer, task: asyncio.Task[None] | None) -> None:
        self.peer = peer
        self.deadline = NEVER
        self._task = task

    def expire(self) -> None:
        self.stop()

    def stop(self) -> None:
        """Nothing was asked on it yet."""
        if self._task is not None:
            self._task.cancel()


class _Silent:
    """A connection that has not said anything yet."""

    def __init__(self, listener: Listener, connection: socket.socket, peer: Peer) -> None:
        self._listener = listener
        self._connection = connection
        self.peer = peer
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
        self._listener.adopt(self._connection, self.peer)

    def _leave(self) -> None:
        self._listener._loop.remove_reader(self._connection.fileno())
        self._listener._deadlines.discard(self)
