"""Bodies that do not come: few threads wait for those of senders whom nobody knows, and others stand in for the threads
that wait for the rest."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from clary.errors import ServiceError
from clary.server.bodies import FrameBody, Waits
from clary.server.control import ControlServer
from clary.server.frames import Frame, pack, pack_json, receive
from clary.server.turns import AT_ONCE, Turns
from clary.wire.messages import Request, Response

_THREADS = 4
_PATIENCE = 60.0


def read(request: Request) -> Response:
    if request.path == "/known":
        assert isinstance(request.body, FrameBody)
        request.body.sender_known()
    try:
        return Response(200, [], request.body.read())
    except ServiceError as error:
        return Response(error.status, [("X-Code", error.code)])


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    server = ControlServer(tmp_path / "control.sock", read, dict, _THREADS, strangers=Waits(2, 1.0))
    server.start()
    yield tmp_path / "control.sock"
    server.stop()


@contextlib.contextmanager
def begun(path: Path, target: str) -> Iterator[socket.socket]:
    """A request whose body has not ended."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(path))
        value = {"method": "PUT", "target": target, "headers": [], "length": 10, "expect": False}
        connection.sendall(pack_json(Frame.REQUEST, value) + pack(Frame.DATA, b"abc"))
        yield connection


def told(connection: socket.socket) -> bytes:
    kind, head = receive(connection) or pytest.fail("closed")
    assert kind is Frame.RESPONSE
    return head


def test_too_many_strangers_are_sent_away_and_the_rest_lose_patience(path: Path) -> None:
    with contextlib.ExitStack() as waiting:
        answers = [waiting.enter_context(begun(path, "/")) for _ in range(_THREADS)]
        heads = sorted(told(each) for each in answers)
    assert [b"RequestTimeout" in each for each in heads] == [True, True, False, False]
    assert [b"SlowDown" in each for each in heads] == [False, False, True, True]


def test_a_sender_who_is_known_is_waited_for(path: Path) -> None:
    with contextlib.ExitStack() as waiting:
        known = [waiting.enter_context(begun(path, "/known")) for _ in range(_THREADS - 1)]
        with begun(path, "/") as stranger:
            assert b"RequestTimeout" in told(stranger)
        for each in known:
            each.sendall(pack(Frame.DATA, b"d") + pack(Frame.END))
            assert b'"status":200' in told(each)
            assert receive(each) == (Frame.DATA, b"abcd")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Two threads, and two more."""
    server = ControlServer(tmp_path / "small.sock", read, dict, 2, turns=Turns(AT_ONCE, 4))
    server.start()
    yield tmp_path / "small.sock"
    server.stop()


def test_senders_who_are_known_and_slow_keep_nobody_else_waiting(small: Path) -> None:
    for _ in range(2):  # what ends leaves no more threads than there were
        with contextlib.ExitStack() as waiting:
            slow = [waiting.enter_context(begun(small, "/known")) for _ in range(5)]
            for _ in range(3):  # more than may be waited for
                sent_away = next(iter(select.select(slow, [], [], _PATIENCE)[0]))
                assert b"SlowDown" in told(sent_away)
                sent_away.sendall(pack(Frame.ABORT))  # as an edge does
                slow.remove(sent_away)
            with begun(small, "/known") as quick:
                quick.sendall(pack(Frame.END))
                assert b'"status":200' in told(quick)
            for each in slow:
                each.sendall(pack(Frame.DATA, b"d") + pack(Frame.END))
                assert b'"status":200' in told(each)
                assert receive(each) == (Frame.DATA, b"abcd")


def test_a_sender_who_is_known_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    server = ControlServer(tmp_path / "brief.sock", read, dict, 2, patience=1.0, turns=Turns(AT_ONCE, 4))
    server.start()
    with begun(tmp_path / "brief.sock", "/known") as stalled:
        assert b"RequestTimeout" in told(stalled)
    server.stop()
