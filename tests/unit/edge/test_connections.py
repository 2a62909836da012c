"""How many connections there may be."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clary.config import Settings
from clary.edge.deadlines import Deadlines
from clary.edge.listener import Listener
from clary.edge.peer import Peer
from clary.server import run_folders

from .conftest import EdgeProcess, Plane

_PATIENCE = 60.0


@pytest.fixture
def small(tmp_path: Path) -> Iterator[EdgeProcess]:
    """An edge with room for three connections."""
    settings = Settings.load({}, home=tmp_path)
    run_folders.make(settings)
    plane, edge = Plane(settings.run / "control.sock"), EdgeProcess(tmp_path, CLARY_EDGE_CONNECTIONS="3")
    plane.start()
    yield edge
    edge.stop()
    plane.stop()


def test_one_too_many_waits_until_another_has_ended(small: EdgeProcess) -> None:
    open_ = [http.client.HTTPConnection("127.0.0.1", small.port, timeout=_PATIENCE) for _ in range(3)]
    for each in open_:
        each.request("GET", "/")
        assert each.getresponse().read()
    with small.connect(_PATIENCE) as late:
        late.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        until = time.monotonic() + _PATIENCE
        while "3 connections are open, further ones wait" not in small.log.read_text():
            assert time.monotonic() < until
        assert not select.select([late], [], [], 0)[0]
        open_[0].request("GET", "/")  # those that are open go on
        assert open_[0].getresponse().read()
        open_[1].close()
        assert late.recv(1000).startswith(b"HTTP/1.1 200 ")
    for each in open_:
        each.close()


def test_a_handshake_that_never_ends_does_not_keep_an_edge_from_ending(small: EdgeProcess) -> None:
    with small.connect(_PATIENCE) as silent, small.connect(_PATIENCE) as other:
        silent.sendall(b"\x16\x03\x01\x02")  # TLS begins so
        other.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert other.recv(1000).startswith(b"HTTP/1.1 200 ")  # by then the first has been taken too
        assert small.stop() == 0
    assert "requests still ran" not in small.log.read_text()


class _From(socket.socket):
    """A listening socket to which connections come from these places."""

    def __init__(self, *places: Any) -> None:
        super().__init__()
        self._places = iter(places)

    def accept(self) -> tuple[socket.socket, Any]:
        accepted = super().accept()[0]
        return accepted, next(self._places)


def _addresses(*given: str) -> list[tuple[str, int]]:
    return [(each, 1) for each in given]


def _relayed(*jobs: str) -> list[bytes]:
    return [f"\0clary-job/{each}/{n}".encode() for n, each in enumerate(jobs)]


class _Kept(asyncio.Protocol):
    """A connection that stays."""

    def __init__(self, peer: Peer, deadlines: Deadlines) -> None:
        self.peer = peer
        self.deadline = float("inf")
        self._deadlines = deadlines

    def connection_made(self, transport: Any) -> None:
        self._deadlines.add(self)
        transport.write(b"!")

    def expire(self) -> None: ...

    def stop(self) -> None: ...


@pytest.mark.parametrize(
    ("places", "let_in"),
    [
        (_addresses(*["192.0.2.1"] * 4), [True, True, False, False]),
        (_addresses("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1", "192.0.2.2"), [True, True, False, True]),
        (_addresses(*["127.0.0.1", "::1"] * 2), [True] * 4),
        (_addresses(*(f"2001:db8:0:{n}::{n}" for n in range(4))), [True] * 4),
        (_addresses("2001:db8::1", "2001:db8::2:1", "2001:db8::3", "2001:db8:0:1::1"), [True, True, False, True]),
        (_relayed("one", "one", "one", "two"), [True, True, False, True]),
    ],
)
def test_none_gets_all(places: list[Any], let_in: list[bool]) -> None:
    async def connections() -> list[bool]:
        """Which of four are let in, of whom two may have one share."""
        loop = asyncio.get_running_loop()
        deadlines, context = Deadlines(loop), None
        with _From(*places) as listening, contextlib.ExitStack() as clients:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            make = lambda _, peer: _Kept(peer, deadlines)  # noqa: E731
            Listener(loop, listening, context, make, deadlines, 4).start()  # type: ignore[arg-type]
            found = []
            for _ in range(4):
                client = clients.enter_context(socket.socket())
                client.setblocking(False)
                await loop.sock_connect(client, listening.getsockname())
                await loop.sock_sendall(client, b"GET")
                try:
                    found.append(bool(await asyncio.wait_for(loop.sock_recv(client, 1), _PATIENCE)))
                except ConnectionResetError:
                    found.append(False)
            loop.remove_reader(listening.fileno())
            deadlines.close()
        return found

    assert asyncio.run(connections()) == let_in
