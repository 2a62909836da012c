"""Where the agents of a job with several hosts meet before it begins: all share the network of the first host's
sandbox, and no code runs before each has its own sandbox in it.

Over a unix socket that only this user reaches; one connection for each further host:

    first -> other   one byte, with the descriptors of the network
    other -> first   one byte: its sandbox is there
    first -> other   one byte: begin

One that does not come, or has gone, is waited for as long as the instance is wanted: it is the control plane that
stops the others when one fails.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from clary.contract.folder import socket_folder
from clary.contract.instance import InstanceSpec

_LOOK = 0.2  # seconds between two looks at whether the instance is still wanted
_AGAIN = 0.02  # seconds until the first host is looked for again
_BYTE = b"."
_MOST_DESCRIPTORS = 2
_T = TypeVar("_T")

Pause = Callable[[float], None]
"""Waits some seconds; raises when the instance is not wanted any more."""


def meeting(spec: InstanceSpec, pause: Pause) -> First | Other | None:
    """This host's part; None where it is alone."""
    if len(spec.hosts) < 2:
        return None
    first = spec.hosts[0]
    path = socket_folder(spec.link, spec.peers[first]) / "meeting.sock"
    return First(path, len(spec.hosts) - 1, pause) if spec.host == first else Other(path, pause)


class First:
    """Of the first host, for whom `others` wait."""

    def __init__(self, path: Path, others: int, pause: Pause) -> None:
        self._others = others
        self._pause = pause
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(path))
        self._listener.listen(others)
        self._listener.settimeout(_LOOK)

    def begin(self, network: Sequence[int]) -> None:
        """Lets the others into the network; returns when all may begin."""
        with contextlib.ExitStack() as closing:
            met = [closing.enter_context(self._meet(network)) for _ in range(self._others)]
            for each in met:
                _hear(each, self._pause)
            for each in met:
                _tell(each)

    def _meet(self, network: Sequence[int]) -> socket.socket:
        connection = _patiently(lambda: self._listener.accept()[0], self._pause)
        connection.settimeout(_LOOK)
        with contextlib.suppress(OSError):  # it has gone, which shows when it is to be heard
            socket.send_fds(connection, [_BYTE], network)
        return connection

    def close(self) -> None:
        self._listener.close()


class Other:
    """Of a further host."""

    def __init__(self, path: Path, pause: Pause) -> None:
        self._path = path
        self._pause = pause
        self._connection: socket.socket | None = None
        self._network: list[int] = []

    def join(self) -> Sequence[int]:
        """The descriptors of the network, once it is there; they are this object's."""
        connection = self._connection = self._connect()
        _, self._network, _, _ = _patiently(lambda: socket.recv_fds(connection, 1, _MOST_DESCRIPTORS), self._pause)
        while not self._network:
            self._pause(_LOOK)
        return self._network

    def begin(self) -> None:
        """To be called once this host's sandbox is there, after `join`; returns when all may begin."""
        if self._connection is not None:
            _tell(self._connection)
            _hear(self._connection, self._pause)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        while self._network:
            os.close(self._network.pop())

    def _connect(self) -> socket.socket:
        while True:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                connection.connect(str(self._path))
            except (FileNotFoundError, ConnectionRefusedError):  # it is not there yet
                connection.close()
                self._pause(_AGAIN)
                continue
            connection.settimeout(_LOOK)
            return connection


def _tell(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it has gone
        connection.send(_BYTE)


def _hear(connection: socket.socket, pause: Pause) -> None:
    while not _patiently(lambda: connection.recv(1), pause):
        pause(_LOOK)


def _patiently(step: Callable[[], _T], pause: Pause) -> _T:
    while True:
        try:
            return step()
        except (TimeoutError, ConnectionError):
            pause(_AGAIN)
