"""The waiting room, over real sockets."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clary.server.control import ControlServer
from clary.server.exchange import Hold
from clary.server.frames import Frame, pack, pack_json, receive
from clary.server.waiting import WaitingRoom
from clary.wire.messages import Request, Response


class Server:
    """`/ARN` waits until that is in `done`, `/ARN/now` does not; the owner is the header X-Owner."""

    def __init__(self, path: Path, room: WaitingRoom, seconds: float = 60.0, **options: Any) -> None:
        self.done: set[str] = set()
        self.looks = threading.Semaphore(0)
        self.parked: Callable[[], None] = lambda: None  # called between the first look and the room
        self.trouble = ""
        self._seconds = seconds
        self._path = path
        self._room = room
        self._open: list[socket.socket] = []
        self._control = ControlServer(path, self._serve, lambda question: question, room=room, **options)
        self._control.start()

    def _serve(self, request: Request) -> Response | Hold:
        _, arn, *now = request.target.split("/")
        if now or arn in self.done:
            return self._told(arn)
        self.parked()
        owner = request.headers.get("x-owner") or ""
        return Hold(arn, owner, self._seconds, lambda: self._look(arn), lambda: self._told(arn))

    def _look(self, arn: str) -> Response | None:
        self.looks.release()
        if arn == self.trouble:
            raise ZeroDivisionError
        return self._told(arn) if arn in self.done else None

    def _told(self, arn: str) -> Response:
        return Response(200, [], b"done" if arn in self.done else b"not yet")

    def finish(self, *arns: str) -> None:
        self.done |= {*arns}
        self._room.changed({*arns})

    def connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(20)
        connection.connect(os.fspath(self._path))
        self._open.append(connection)
        return connection

    def ask(self, target: str, owner: str = "", connection: socket.socket | None = None) -> socket.socket:
        connection = connection or self.connect()
        value = {"method": "POST", "target": target, "headers": [["X-Owner", owner]], "length": 0}
        connection.sendall(pack_json(Frame.REQUEST, value) + pack(Frame.END))
        return connection

    def stop(self, closing: bool = True) -> None:
        self._control.stop()
        for each in self._open if closing else ():
            each.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(room: WaitingRoom | None = None, **options: Any) -> Server:
        servers.append(Server(tmp_path / "control.sock", room or WaitingRoom(), **options))
        return servers[-1]

    yield start
    for each in servers:
        each.stop()


def held(connection: socket.socket) -> bool:
    """Whether the server says that its answer comes later; else what comes now is read."""
    kind, _ = receive(connection) or pytest.fail("closed")
    if kind is Frame.RESPONSE:
        _body(connection)
    return kind is Frame.HELD


def answer(connection: socket.socket) -> bytes:
    kind, _ = receive(connection) or pytest.fail("closed")
    assert kind is Frame.RESPONSE
    return _body(connection)


def _body(connection: socket.socket) -> bytes:
    kind, body = receive(connection) or pytest.fail("closed")
    assert kind is Frame.DATA
    assert receive(connection) == (Frame.END, b"")
    return body


def test_the_change_brings_the_answer_and_the_connection_goes_on(serve: Callable[..., Server]) -> None:
    server = serve()
    connection = server.ask("/a")
    for name in ("a", "b", "c"):
        assert held(connection)
        server.finish(name)
        assert answer(connection) == b"done"
        server.ask(f"/{chr(ord(name) + 1)}", connection=connection)


def test_only_the_change_of_what_is_waited_for_wakes(serve: Callable[..., Server]) -> None:
    server = serve()
    connection = server.ask("/a")
    assert held(connection)
    assert server.looks.acquire(timeout=20)
    server.finish("b")
    server.finish("a")
    assert answer(connection) == b"done"
    assert server.looks.acquire(timeout=20)
    assert not server.looks.acquire(blocking=False)


def test_a_change_between_the_first_look_and_the_room_is_seen(serve: Callable[..., Server]) -> None:
    server = serve()
    server.parked = lambda: server.finish("a")
    assert answer(server.ask("/a")) == b"done"


def test_when_the_time_is_over_the_answer_is_what_is_true(serve: Callable[..., Server]) -> None:
    connection = serve(seconds=0.05).ask("/a")
    assert held(connection)
    assert answer(connection) == b"not yet"


def test_who_waits_takes_no_thread(serve: Callable[..., Server]) -> None:
    server = serve(WaitingRoom(each=100), threads=1)
    waiting = [server.ask(f"/{number % 3}") for number in range(50)]
    assert all(held(connection) for connection in waiting)
    assert answer(server.ask("/0/now")) == b"not yet"
    server.finish("0", "1", "2")
    assert {answer(connection) for connection in waiting} == {b"done"}


def test_a_room_that_is_full_answers_at_once(serve: Callable[..., Server]) -> None:
    server = serve(WaitingRoom(each=2, most=3))
    first = [server.ask(f"/{number}", "one") for number in range(2)]
    assert [held(each) for each in first] == [True, True]
    assert not held(server.ask("/2", "one"))
    assert held(server.ask("/2", "two"))
    assert not held(server.ask("/3", "three"))
    server.finish("0")
    assert answer(first[0]) == b"done"
    assert held(server.ask("/3", "three"))


def test_an_edge_that_lets_go_has_its_answer_now(serve: Callable[..., Server]) -> None:
    server = serve()
    connection = server.ask("/a")
    assert held(connection)
    connection.sendall(pack(Frame.RELEASE))
    assert answer(connection) == b"not yet"
    assert held(server.ask("/a", connection=connection))


@pytest.mark.parametrize("last_words", [b"", pack(Frame.ABORT), pack(Frame.REQUEST, b"{}"), b"\x0a\x00"])
def test_an_edge_that_goes_leaves_its_place(serve: Callable[..., Server], last_words: bytes) -> None:
    server = serve(WaitingRoom(each=1))
    for _ in range(3):
        connection = server.ask("/a")
        assert held(connection)
        connection.sendall(last_words)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""


def test_one_that_fails_is_nobody_elses_trouble(serve: Callable[..., Server], caplog: pytest.LogCaptureFixture) -> None:
    server = serve()
    one, other = server.ask("/a"), server.ask("/b")
    assert held(one)
    assert held(other)
    server.trouble = "a"
    server.finish("a", "b")
    assert one.recv(1) == b""
    assert answer(other) == b"done"
    assert "ZeroDivisionError" in caplog.text
    server.trouble = ""
    assert answer(server.ask("/a")) == b"done"


def test_stop_answers_everybody(serve: Callable[..., Server]) -> None:
    server = serve(WaitingRoom(each=100))
    waiting = [server.ask("/a") for _ in range(40)]
    assert all(held(connection) for connection in waiting)
    server.stop(closing=False)
    assert {answer(connection) for connection in waiting} == {b"not yet"}


def test_after_the_end_nobody_waits_and_nobody_is_woken() -> None:
    room = WaitingRoom()
    here, there = socket.socketpair()
    hold = Hold("a", "", 60, lambda: None, lambda: Response(200))
    with here, there:
        assert not room.enter(here, hold, lambda *_: None)
        room.start()
        room.close()
        room.changed({"a"})
        assert not room.enter(here, hold, lambda *_: None)
