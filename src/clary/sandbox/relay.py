"""Joins what connects at one socket with another: the way from a sandbox to the server, and from the gateway to a model
server of the user's own. Standard library only: it runs inside as well as outside.

It knows nothing of what passes. One thread moves the bytes of all connections; each holds at most one piece for each
direction, and nothing is read that its receiver does not take.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
import time

BACKLOG = 1024
Target = str | tuple[str, int]
"""The path of a unix socket, or a TCP address."""

_PIECE = 128 * 1024  # bytes
_REST = 0.1  # seconds after an accept that failed
_SHUT = (errno.EBADF, errno.EINVAL)


def relay(listener: socket.socket, target: Target, most: int, source: str = "") -> None:
    """Joins what connects at `listener`, which is taken over, with `target`: returns when the listener is shut down.
    While nobody listens at the target, what connects is closed at once. `most` connections at once: more wait in the
    listener's queue. With a `source` whoever accepts at a unix socket sees, as the address that each connection comes
    from, that name with a slash and something else behind it."""
    _Joints(listener, target, most, source).run()


class _End:
    """One socket of a joint. `pending`: what still has to be written to it. `finished`: nothing more comes from it."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.other = self
        self.pending = memoryview(b"")
        self.finished = False

    @property
    def waits_for(self) -> int:
        """Events, for a selector."""
        readable = not self.finished and not self.other.pending
        return readable * selectors.EVENT_READ | bool(self.pending) * selectors.EVENT_WRITE

    def take(self) -> None:
        """Reads a piece, for the other end. Raises OSError."""
        data = self.connection.recv(_PIECE)
        if data:
            self.other.pending = memoryview(data)
            self.other.give()
        else:
            self.finished = True
            self.other.connection.shutdown(socket.SHUT_WR)

    def give(self) -> None:
        """Writes what can be written now. Raises OSError."""
        with contextlib.suppress(BlockingIOError):
            self.pending = self.pending[self.connection.send(self.pending) :]


class _Over(Exception):
    """The listening socket is shut."""


class _Joints:
    """All connections of one listening socket, on one thread."""

    def __init__(self, listener: socket.socket, target: Target, most: int, source: str) -> None:
        self._source = source
        self._listener = listener
        self._target = target
        self._most = most
        self._selector = selectors.DefaultSelector()
        self._ends: set[_End] = set()

    def run(self) -> None:
        with self._listener, self._selector:
            self._listener.setblocking(False)
            with contextlib.suppress(_Over):
                while True:
                    self._watch_listener()
                    self._step()
            for each in list(self._ends):
                each.connection.close()

    def _watch_listener(self) -> None:
        watched = self._listener in self._selector.get_map()
        if watched == (len(self._ends) < 2 * self._most):
            return
        if watched:
            self._selector.unregister(self._listener)
        else:
            self._selector.register(self._listener, selectors.EVENT_READ)

    def _step(self) -> None:
        """Raises _Over."""
        for key, events in self._selector.select():
            if key.data is None:
                self._accept()
            elif key.data in self._ends:  # nothing that came before has ended it
                self._move(key.data, events)

    def _accept(self) -> None:
        try:
            inside = self._listener.accept()[0]
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno in _SHUT:
                raise _Over from error
            time.sleep(_REST)
            return
        try:
            outside = self._connected()
        except OSError:
            inside.close()
            return
        inside.setblocking(False)
        for each in (inside, outside):
            if each.family != socket.AF_UNIX:
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._join(_End(inside), _End(outside))

    def _connected(self) -> socket.socket:
        """With the target, or on the way there: a full queue there holds up nobody else. Raises OSError."""
        found = socket.socket(socket.AF_UNIX if isinstance(self._target, str) else socket.AF_INET)
        found.setblocking(False)
        try:
            if self._source:
                found.bind(f"\0{self._source}/{os.urandom(8).hex()}")
            found.connect(self._target)
        except OSError as error:
            if error.errno != errno.EINPROGRESS:
                found.close()
                raise
        return found

    def _join(self, one: _End, two: _End) -> None:
        one.other, two.other = two, one
        for each in (one, two):
            self._ends.add(each)
            self._watch(each)

    def _move(self, end: _End, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE and end.pending:
                end.give()
            if events & selectors.EVENT_READ and end.waits_for & selectors.EVENT_READ:
                end.take()
        except BlockingIOError:
            pass
        except OSError:
            self._part(end)
            return
        if end.finished and end.other.finished and not (end.pending or end.other.pending):
            self._part(end)
            return
        self._watch(end)
        self._watch(end.other)

    def _part(self, end: _End) -> None:
        for each in (end, end.other):
            self._ends.discard(each)
            with contextlib.suppress(KeyError):
                self._selector.unregister(each.connection)
            each.connection.close()

    def _watch(self, end: _End) -> None:
        """An end that waits for nothing is not watched: the kernel would tell of its hangup without end."""
        known = self._selector.get_map().get(end.connection)
        if not end.waits_for:
            if known is not None:
                self._selector.unregister(end.connection)
        elif known is None:
            self._selector.register(end.connection, end.waits_for, end)
        elif known.events != end.waits_for:
            self._selector.modify(end.connection, end.waits_for, end)
