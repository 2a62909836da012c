"""The listening sockets. The supervisor owns them, so none is lost when an edge ends."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

_BACKLOG = 1024


class PortTaken(Exception):
    """The address cannot be listened on; the message says why and what to do."""


@contextlib.contextmanager
def listening(host: str, port: int, count: int) -> Iterator[list[socket.socket]]:
    """`count` sockets on one port (0: any free one), the kernel spreading connections over them. Raises PortTaken."""
    sockets = _listen(host, port, count)
    try:
        yield sockets
    finally:
        for each in sockets:
            each.close()


@contextlib.contextmanager
def listening_for_jobs(path: Path) -> Iterator[socket.socket]:
    """The unix socket at `path`, which all edges share: what jobs send comes in there, by way of their agents."""
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        listener.listen(_BACKLOG)
        yield listener


def _listen(host: str, port: int, count: int) -> list[socket.socket]:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except socket.gaierror as error:
        raise PortTaken(f"There is no address {host!r} to listen on: {error.strerror}.") from error
    first = socket.socket(family, socket.SOCK_STREAM)
    sockets = [first]
    try:
        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Bound alone first: with SO_REUSEPORT the kernel would let us share the port with another server of this user.
        first.bind(address)
        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        for _ in range(count - 1):
            sockets.append(socket.socket(family, socket.SOCK_STREAM))
            sockets[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sockets[-1].bind(first.getsockname())
        for each in sockets:
            each.listen(_BACKLOG)
    except OSError as error:
        for each in sockets:
            each.close()
        raise PortTaken(_why(host, port, error)) from error
    return sockets


def _why(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} is taken by another program. Give another one with --port (0 takes any free one)."
    if error.errno == errno.EACCES:
        return f"This user may not listen on port {port}. Give one above 1023 with --port."
    return f"Cannot listen on {host}:{port}: {error.strerror}."
