"""Bodies of senders whom nobody knows: few threads wait for them, and not for ever."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from clary.errors import ServiceError
from clary.server.bodies import FrameBody, Strangers
from clary.server.control import ControlServer
from clary.server.frames import Frame, pack, pack_json, receive
from clary.wire.messages import Request, Response

_THREADS = 4


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
    server = ControlServer(tmp_path / "control.sock", read, dict, _THREADS, strangers=Strangers(2, 1.0))
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
