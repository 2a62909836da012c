"""Requests whose answers the control plane holds, as an edge passes them on."""

from __future__ import annotations

import http.client
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clary.config import Settings
from clary.server import run_folders
from clary.server.control import ControlServer
from clary.server.exchange import Hold
from clary.server.waiting import WaitingRoom
from clary.wire.messages import Request, Response

from .conftest import EdgeProcess

_REQUEST = b"POST /held HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


class Plane:
    """A control plane that holds every request for /held."""

    def __init__(self, path: Path, places: int) -> None:
        self.room = WaitingRoom(each=places, most=places)
        self.done = False
        self.held = threading.Semaphore(0)  # one for each that came to wait
        self._server = ControlServer(path, self._serve, lambda question: question, threads=4, room=self.room)
        self._server.start()

    def _serve(self, request: Request) -> Response | Hold:
        if request.target != "/held":
            return Response(200, [], b"at once")
        request.body.read()
        return Hold("a", "", 60.0, self._look, self._told)

    def _look(self) -> Response | None:
        self.held.release()
        return self._told() if self.done else None

    def _told(self) -> Response:
        return Response(200, [], b"done" if self.done else b"not yet")

    def finish(self) -> None:
        self.done = True
        self.room.changed({"a"})

    def stop(self) -> None:
        self._server.stop(0.1)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., tuple[Plane, EdgeProcess]]]:
    made: list[Plane | EdgeProcess] = []

    def begin(places: int = 1000) -> tuple[Plane, EdgeProcess]:
        settings = Settings.load({}, home=tmp_path)
        run_folders.make(settings)
        plane, edge = Plane(settings.run / "control.sock", places), EdgeProcess(tmp_path)
        made.extend((edge, plane))
        return plane, edge

    yield begin
    for each in made:
        each.stop()


def wait(edge: EdgeProcess, plane: Plane) -> socket.socket:
    connection = edge.connect()
    connection.sendall(_REQUEST)
    assert plane.held.acquire(timeout=20)
    return connection


def answer(connection: socket.socket) -> bytes:
    response = http.client.HTTPResponse(connection)
    response.begin()
    assert response.status == 200
    return response.read()


def test_held_requests_take_nobodys_place(start: Callable[..., tuple[Plane, EdgeProcess]]) -> None:
    """More of them than an edge has links to the control plane."""
    plane, edge = start()
    waiting = [wait(edge, plane) for _ in range(300)]
    with edge.connect() as other:
        other.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer(other) == b"at once"
    plane.finish()
    assert {answer(connection) for connection in waiting} == {b"done"}
    for connection in waiting:  # each carries the next request
        connection.sendall(_REQUEST)
    assert {answer(connection) for connection in waiting} == {b"done"}
    for connection in waiting:
        connection.close()


def test_a_client_that_breaks_off_gives_its_place_back(start: Callable[..., tuple[Plane, EdgeProcess]]) -> None:
    plane, edge = start(places=1)
    gone = wait(edge, plane)
    gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a mere end could be half a one
    gone.close()
    deadline = time.monotonic() + 20
    with edge.connect() as other:
        other.sendall(_REQUEST)
        while not plane.held.acquire(timeout=0.05):  # no place yet: it is answered at once
            assert time.monotonic() < deadline
            assert answer(other) == b"not yet"
            other.sendall(_REQUEST)
        plane.finish()
        assert answer(other) == b"done"


def test_an_edge_that_ends_brings_its_clients_their_answers_first(
    start: Callable[..., tuple[Plane, EdgeProcess]],
) -> None:
    plane, edge = start()
    waiting = [wait(edge, plane) for _ in range(3)]
    began = time.monotonic()
    edge.process.send_signal(signal.SIGTERM)
    assert {answer(connection) for connection in waiting} == {b"not yet"}
    assert edge.process.wait(20) == 0
    assert time.monotonic() - began < 5  # not the grace of a request that runs
    for connection in waiting:
        connection.close()
