"""The control plane's end of the frames: a bounded pool of threads over one epoll.

Every connection is registered one-shot, so an idle connection costs a descriptor and no thread, and a ready one wakes
exactly one thread. That thread serves one exchange (frames.py), arms the connection again and looks for the next.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clary.server.exchange import serve_exchange
from clary.wire.messages import Request, Response

Application = Callable[[Request], Response]
Answer = Callable[[dict[str, Any]], dict[str, Any]]

_BACKLOG = 1024
_LOG = logging.getLogger(__name__)


class ControlServer:
    """Serves `application` (requests) and `answer` (questions) on a unix socket that only this user can open.

    `threads` bounds how many exchanges run at once; further ready connections wait in the kernel. A peer that is silent
    for `patience` seconds in the middle of an exchange loses its connection. `start` binds the socket and returns;
    `stop` takes no new exchange, gives running ones `grace` seconds, and returns whether all of them ended.
    """

    def __init__(
        self, path: Path, application: Application, answer: Answer, threads: int = 32, patience: float = 60.0
    ) -> None:
        self._path = path
        self._application = application
        self._answer = answer
        self._count = threads
        self._patience = struct.pack("ll", int(patience), int(patience % 1 * 1_000_000))
        self._epoll = select.epoll()
        self._bell, self._ringer = os.pipe()
        self._listener: socket.socket | None = None
        self._connections: dict[int, socket.socket] = {}
        self._mutex = threading.Lock()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Raises OSError when the socket cannot be bound."""
        self._listener = _listen(self._path)
        self._epoll.register(self._bell, select.EPOLLIN)  # level-triggered: it wakes every thread
        self._epoll.register(self._listener, select.EPOLLIN | select.EPOLLONESHOT)
        for number in range(self._count):
            thread = threading.Thread(target=self._work, name=f"control-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self, grace: float = 10.0) -> bool:
        if not self._stopping.is_set():
            self._stopping.set()
            os.write(self._ringer, b"!")
        deadline = time.monotonic() + grace
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        ended = not any(thread.is_alive() for thread in self._threads)
        self._close(ended)
        return ended

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
        while not self._stopping.is_set():
            for descriptor, _events in self._epoll.poll(maxevents=1):
                if descriptor == self._bell:
                    return
                try:
                    self._serve(descriptor)
                except Exception:
                    _LOG.exception("a thread of the control plane met an error outside an exchange")

    def _serve(self, descriptor: int) -> None:
        listener = self._listener
        if listener is not None and descriptor == listener.fileno():
            self._accept(listener)
            return
        with self._mutex:
            connection = self._connections.get(descriptor)
        if connection is None:
            return
        try:
            again = serve_exchange(connection, self._application, self._answer)
        except OSError as error:  # torn frames, a peer that fell silent or went away
            _LOG.info("an edge's connection was dropped: %s", error)
            again = False
        if again:
            self._arm(descriptor)
        else:
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
