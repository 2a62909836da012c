"""A socket with threads of its own: a bounded pool over one epoll.

Every connection is registered one-shot, so an idle connection costs a descriptor and no thread, and a ready one wakes
exactly one thread. That thread serves one exchange, arms the connection again and looks for the next. Work that must
not wait behind other work has a lane of its own.
"""

from __future__ import annotations

import contextlib
import enum
import logging
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from clary.server.turns import AT_ONCE, Turns

_BACKLOG = 1024
_LOG = logging.getLogger(__name__)


class After(enum.Enum):
    """What becomes of a connection after an exchange: it carries the next, it ends, or somebody else has it and gives
    it back (`Lane.give_back`)."""

    AGAIN = enum.auto()
    OVER = enum.auto()
    KEPT = enum.auto()


class Lane:
    """Serves connections to a unix socket that only this user can open; `serve` is called for each that has something
    to read, and raises OSError when the connection broke.

    `threads` bounds how many exchanges there are at once (of these few run, by `turns`); further ready connections wait
    in the kernel. `turns` may be for more threads: these stand in for those that wait for somebody (`standing_in`),
    begin when fewer than half are left that do not, and end when there are too many. A peer that is silent for
    `patience` seconds in the middle of an exchange loses its connection. `start` binds the socket and returns; `stop`
    takes no new exchange, lets running ones go on until `deadline` (of the monotonic clock), and returns whether all of
    them ended.
    """

    def __init__(
        self,
        path: Path,
        serve: Callable[[socket.socket], After],
        threads: int,
        patience: float,
        turns: Turns | None = None,
    ) -> None:
        self._path = path
        self._serve = serve
        self._count = threads
        self._patience = struct.pack("ll", int(patience), int(patience % 1 * 1_000_000))
        self._epoll = select.epoll()
        self._bell, self._ringer = os.pipe()
        self._listener: socket.socket | None = None
        self._connections: dict[int, socket.socket] = {}
        self._mutex = threading.Lock()
        self._stopping = threading.Event()
        self._turns = turns or Turns(AT_ONCE, threads)
        self._threads: set[threading.Thread] = set()
        self._away = 0  # threads that wait, and for which others may stand in

    def start(self) -> None:
        """Raises OSError when the socket cannot be bound."""
        self._listener = _listen(self._path)
        self._epoll.register(self._bell, select.EPOLLIN)  # level-triggered: it wakes every thread
        self._epoll.register(self._listener, select.EPOLLIN | select.EPOLLONESHOT)
        self._turns.start()
        with self._mutex:
            for _ in range(self._count):
                self._begin_thread()

    def stop(self, deadline: float) -> bool:
        if not self._stopping.is_set():
            self._stopping.set()
            os.write(self._ringer, b"!")
            self._turns.stop()
        with self._mutex:
            threads = tuple(self._threads)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        ended = not any(thread.is_alive() for thread in threads)
        self._close(ended)
        return ended

    def give_back(self, connection: socket.socket, after: After) -> None:
        """Ends the custody that KEPT began. For any thread; without effect once the lane has stopped."""
        with self._mutex:
            ours = self._connections.get(connection.fileno()) is connection
        if ours:
            self._go_on(connection.fileno(), connection, after)

    @contextlib.contextmanager
    def standing_in(self) -> Iterator[None]:
        """Around what a thread of this lane waits for in its exchange: another serves in its place, if there is one."""
        with self._mutex:
            self._away += 1
            lacking = len(self._threads) - self._away < (self._count + 1) // 2
            if lacking and len(self._threads) < self._turns.threads and not self._stopping.is_set():
                self._begin_thread()
        try:
            with self._turns.waiting():
                yield
        finally:
            with self._mutex:
                self._away -= 1

    def _begin_thread(self) -> None:
        thread = threading.Thread(target=self._work, name=f"{self._path.stem}-{len(self._threads)}", daemon=True)
        self._threads.add(thread)
        thread.start()

    def _is_over(self) -> bool:
        """Whether the thread that asks has nobody to stand in for; it is not of the lane any more then."""
        with self._mutex:
            over = len(self._threads) - self._away > self._count
            if over:
                self._threads.discard(threading.current_thread())
            return over

    def _close(self, ended: bool) -> None:
        with self._mutex:
            connections = list(self._connections.values())
            self._connections.clear()
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)  # wakes a thread that is still reading from it
            connection.close()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            self._path.unlink(missing_ok=True)
            if ended:  # else a late thread may still be about to use them
                self._epoll.close()
                os.close(self._bell)
                os.close(self._ringer)

    def _work(self) -> None:
        self._turns.take()
        while not self._stopping.is_set():
            for descriptor, _events in self._epoll.poll(maxevents=1):
                if descriptor == self._bell:
                    return
                self._turns.begin()
                try:
                    self._ready(descriptor)
                except Exception:
                    _LOG.exception("a thread of the control plane met an error outside an exchange")
                if not self._turns.end():
                    if self._is_over():
                        return
                    self._turns.take()

    def _ready(self, descriptor: int) -> None:
        listener = self._listener
        if listener is not None and descriptor == listener.fileno():
            self._accept(listener)
            return
        with self._mutex:
            connection = self._connections.get(descriptor)
        if connection is None:
            return
        try:
            after = self._serve(connection)
        except OSError as error:  # torn frames, a peer that fell silent or went away
            _LOG.info("an edge's connection was dropped: %s", error)
            after = After.OVER
        self._go_on(descriptor, connection, after)

    def _go_on(self, descriptor: int, connection: socket.socket, after: After) -> None:
        if after is After.AGAIN:
            self._arm(descriptor)
        elif after is After.OVER:
            self._drop(descriptor, connection)

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:  # taken back by its peer, or out of descriptors: the next event tries again
            self._arm(listener.fileno())
            return
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            connection.setsockopt(socket.SOL_SOCKET, option, self._patience)
        connection.setblocking(True)
        with self._mutex:
            self._connections[connection.fileno()] = connection
        self._epoll.register(connection, select.EPOLLIN | select.EPOLLONESHOT)
        self._arm(listener.fileno())

    def _arm(self, descriptor: int) -> None:
        with contextlib.suppress(OSError, ValueError):  # closed by `stop` meanwhile
            self._epoll.modify(descriptor, select.EPOLLIN | select.EPOLLONESHOT)

    def _drop(self, descriptor: int, connection: socket.socket) -> None:
        with self._mutex:
            self._connections.pop(descriptor, None)
        connection.close()


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)  # left by a killed predecessor; the supervisor's lock says there is no other
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(listener.fileno(), 0o600)  # the file is born with this mode: nobody else gets in before a chmod
        listener.bind(os.fspath(path))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener
