"""Passes on what is said between two sockets, both ways, until both sides have nothing more to say. Standard library
only: it runs inside as well as outside."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import NoReturn

BACKLOG = 1024
_MOST = 512  # connections at a time; more wait in the listener's queue
_PIECE = 65536  # bytes on their way in each direction: who sends faster than the other reads waits
_REST = 0.1  # seconds after an accept that failed
_CLOSED = (errno.EBADF, errno.EINVAL)


def serve(listener: socket.socket, connect: Callable[[], socket.socket]) -> NoReturn:
    """Each connection that the listener takes, with one that `connect` makes (it may raise OSError: then the asker
    finds his closed). Ends the process when the listener is closed."""
    forward(listener, connect)
    os._exit(0)


def forward(listener: socket.socket, connect: Callable[[], socket.socket]) -> None:
    """As `serve`, for a thread of a process that has others: returns when the listener is closed."""
    room = threading.BoundedSemaphore(_MOST)
    while True:
        room.acquire()
        try:
            asker = listener.accept()[0]
            threading.Thread(target=_meet, args=(asker, connect, room), daemon=True).start()
        except OSError as error:
            room.release()
            if error.errno in _CLOSED:
                return
            time.sleep(_REST)
        except RuntimeError:  # no thread more: the asker finds the connection closed
            asker.close()
            room.release()


def _meet(asker: socket.socket, connect: Callable[[], socket.socket], room: threading.BoundedSemaphore) -> None:
    try:
        with contextlib.suppress(OSError), asker, connect() as answerer:
            if answerer.family != socket.AF_UNIX:
                answerer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            answering = threading.Thread(target=_pass, args=(answerer, asker), daemon=True)
            answering.start()
            _pass(asker, answerer)
            answering.join()
    finally:
        room.release()


def _pass(source: socket.socket, target: socket.socket) -> None:
    """Up to the source's end, which becomes the target's. A connection that breaks off breaks the other off."""
    try:
        while piece := source.recv(_PIECE):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
