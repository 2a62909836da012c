"""The control plane's end of the frames, over real sockets."""

from __future__ import annotations

import json
import logging
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clary.server.control import ControlServer
from clary.server.frames import PIECE, Frame, pack, pack_json, questions_socket, receive
from clary.wire.messages import Request, Response

Serve = Callable[..., Callable[[], socket.socket]]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """serve(application, answer=..., threads=...) -> a function that opens a connection for requests; its `ask` opens
    one for questions."""
    opened: list[Any] = []

    def start(application: Any, answer: Any = lambda question: question, **options: Any) -> Callable[[], socket.socket]:
        path = tmp_path / "control.sock"
        server = ControlServer(path, application, answer, **options)
        server.start()
        opened.append(server)

        def connect(to: Path = path) -> socket.socket:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.settimeout(20)
            connection.connect(os.fspath(to))
            opened.insert(0, connection)
            return connection

        connect.ask = lambda: connect(questions_socket(path))  # type: ignore[attr-defined]
        connect.server = server  # type: ignore[attr-defined]
        connect.path = path  # type: ignore[attr-defined]
        return connect

    yield start
    for each in opened:
        each.close() if isinstance(each, socket.socket) else each.stop()


def head(method: str = "POST", target: str = "/", length: int | None = None, expect: bool = False) -> bytes:
    headers = [["Host", "x"], ["X-Twice", "1"], ["x-twice", "\xe9"]]
    value = {"method": method, "target": target, "headers": headers, "scheme": "https", "peer": "127.0.0.1:9"}
    return pack_json(Frame.REQUEST, {**value, "length": length, "expect": expect})


def response(connection: socket.socket) -> tuple[int, list[Any], bytes, Frame]:
    kind, payload = receive(connection) or pytest.fail("closed")
    assert kind is Frame.RESPONSE
    value, body = json.loads(payload), b""
    while True:
        kind, payload = receive(connection) or pytest.fail("closed")
        if kind is not Frame.DATA:
            return value["status"], value["headers"], body, kind
        assert len(payload) <= PIECE
        body += payload


def cut_off(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def echo(request: Request) -> Response:
    return Response(200, [("X-Target", request.target)], request.body.read())


def test_the_sockets_are_this_users_alone(serve: Serve) -> None:
    path = serve(echo).path  # type: ignore[attr-defined]
    assert {stat.S_IMODE(each.stat().st_mode) for each in (path, questions_socket(path))} == {0o600}


def test_requests_one_after_the_other_on_one_connection(serve: Serve) -> None:
    connection = serve(echo)()
    for data in (b"", b"a", b"b" * (2 * PIECE + 7)):
        connection.sendall(head(target="/a%2Fb?\xe9", length=len(data)))
        for at in range(0, len(data), PIECE):
            connection.sendall(pack(Frame.DATA, data[at : at + PIECE]))
        connection.sendall(pack(Frame.END))
        assert response(connection) == (200, [["X-Target", "/a%2Fb?\xe9"]], data, Frame.END)


def test_the_request_arrives_as_it_was_sent(serve: Serve) -> None:
    seen: list[Request] = []

    def application(request: Request) -> Response:
        seen.append(request)
        return Response(204)

    connection = serve(application)()
    connection.sendall(head("PUT", "//x/../y") + pack(Frame.END))
    assert response(connection)[0] == 204
    request = seen[0]
    assert (request.method, request.target, request.scheme, request.peer) == ("PUT", "//x/../y", "https", "127.0.0.1:9")
    assert request.headers.all("X-TWICE") == ["1", "\xe9"]
    assert request.body.length is None


def test_a_held_back_body_is_asked_for_at_the_first_read_only(serve: Serve) -> None:
    connect = serve(lambda request: Response(200, [], request.body.read(2) + request.body.read()))
    connection = connect()
    connection.sendall(head(length=4, expect=True))
    assert receive(connection) == (Frame.CONTINUE, b"")
    connection.sendall(pack(Frame.DATA, b"abcd") + pack(Frame.END))
    assert response(connection)[2] == b"abcd"


def test_an_early_answer_asks_for_nothing_and_the_connection_goes_on(serve: Serve) -> None:
    connection = serve(lambda request: Response(403, [], b"no"))()
    for rest in (pack(Frame.ABORT), pack(Frame.DATA, b"x" * 70000) * 9 + pack(Frame.END)):
        connection.sendall(head(length=4, expect=True))
        assert response(connection) == (403, [], b"no", Frame.END)
        connection.sendall(rest)


def test_a_streamed_body_is_cut_into_frames(serve: Serve) -> None:
    connection = serve(lambda request: Response(200, [], iter([b"a" * (PIECE + 1), b"", b"b"])))()
    connection.sendall(head() + pack(Frame.END))
    status, _, body, end = response(connection)
    assert (status, body, end) == (200, b"a" * (PIECE + 1) + b"b", Frame.END)


def test_a_body_that_breaks_midway_is_cut_off(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    closed = threading.Event()

    def broken() -> Iterator[bytes]:
        try:
            yield b"half"
            raise OSError("the disk went away")
        finally:
            closed.set()

    connection = serve(lambda request: Response(200, [], broken()))()
    for _ in range(2):
        connection.sendall(head() + pack(Frame.END))
        assert response(connection)[2:] == (b"half", Frame.ABORT)
    assert closed.is_set()
    assert "the disk went away" in caplog.text


def test_an_applications_error_is_a_500_with_its_traceback_in_the_log(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    def application(request: Request) -> Response:
        raise ZeroDivisionError("secret detail")

    connection = serve(application)()
    with caplog.at_level(logging.ERROR):
        connection.sendall(head() + pack(Frame.DATA, b"unread") + pack(Frame.END))
        status, _, body, _ = response(connection)
    assert status == 500
    assert b"secret" not in body
    assert "ZeroDivisionError: secret detail" in caplog.text


def test_a_client_that_leaves_midway_raises_in_the_read(serve: Serve) -> None:
    errors: list[BaseException] = []

    def application(request: Request) -> Response:
        try:
            return echo(request)
        except ConnectionError as error:
            errors.append(error)
            raise

    connection = serve(application)()
    connection.sendall(head(length=9) + pack(Frame.DATA, b"abc") + pack(Frame.ABORT))
    assert response(connection)[0] == 400
    assert "client went away" in str(errors[0])
    connection.sendall(head() + pack(Frame.END))
    assert response(connection)[0] == 200


def test_questions_one_after_the_other(serve: Serve) -> None:
    def answer(question: dict[str, Any]) -> dict[str, Any]:
        if question["ask"] == "trouble":
            raise ValueError("inside")
        return {"asked": question["ask"]}

    connection = serve(echo, answer).ask()  # type: ignore[attr-defined]
    connection.sendall(pack_json(Frame.QUESTION, {"ask": "x"}))
    assert receive(connection) == (Frame.ANSWER, b'{"asked":"x"}')
    connection.sendall(pack_json(Frame.QUESTION, {"ask": "trouble"}))
    kind, payload = receive(connection) or pytest.fail("closed")
    assert kind is Frame.ANSWER
    assert b'"error"' in payload
    assert b"inside" not in payload
    connection.sendall(pack_json(Frame.QUESTION, {"ask": "y"}))
    assert receive(connection) == (Frame.ANSWER, b'{"asked":"y"}')


def test_a_socket_takes_only_its_own_kind(serve: Serve) -> None:
    connect = serve(echo)
    for connection, frames in (
        (connect(), pack_json(Frame.QUESTION, {"ask": "x"})),
        (connect.ask(), head() + pack(Frame.END)),  # type: ignore[attr-defined]
        (connect.ask(), pack_json(Frame.QUESTION, ["x"])),  # type: ignore[attr-defined]
    ):
        connection.sendall(frames)
        assert cut_off(connection)


def test_questions_are_answered_while_every_thread_waits_for_a_slow_client(serve: Serve) -> None:
    entered = threading.Semaphore(0)

    def application(request: Request) -> Response:
        entered.release()
        return echo(request)

    connect = serve(application, threads=3)
    uploads = [connect() for _ in range(4)]
    for upload in uploads:
        upload.sendall(head("PUT", length=2) + pack(Frame.DATA, b"a"))
    for _ in range(3):
        assert entered.acquire(timeout=20)
    asking = connect.ask()  # type: ignore[attr-defined]
    asking.sendall(pack_json(Frame.QUESTION, {"ask": "x"}))
    assert receive(asking) == (Frame.ANSWER, b'{"ask":"x"}')
    for upload in uploads:
        upload.sendall(pack(Frame.DATA, b"b") + pack(Frame.END))
        assert response(upload)[2] == b"ab"


def test_idle_connections_hold_no_thread(serve: Serve) -> None:
    connect = serve(echo, threads=2)
    idle = [connect() for _ in range(50)]
    for connection in (connect(), *idle):
        connection.sendall(head() + pack(Frame.DATA, b"1") + pack(Frame.END))
        assert response(connection)[2] == b"1"


def test_at_most_so_many_exchanges_run_at_once_and_the_rest_waits(serve: Serve) -> None:
    entered, release, running, most = threading.Semaphore(0), threading.Event(), [0], [0]
    mutex = threading.Lock()

    def application(request: Request) -> Response:
        with mutex:
            running[0] += 1
            most[0] = max(most[0], running[0])
        entered.release()
        release.wait(20)
        with mutex:
            running[0] -= 1
        return Response(200)

    connect = serve(application, threads=3)
    connections = [connect() for _ in range(8)]
    for connection in connections:
        connection.sendall(head() + pack(Frame.END))
    for _ in range(3):
        assert entered.acquire(timeout=20)
    release.set()
    assert [response(connection)[0] for connection in connections] == [200] * 8
    assert most[0] == 3


def test_a_torn_frame_costs_only_its_own_connection(serve: Serve) -> None:
    connect = serve(echo)
    for garbage in (
        b"GET / HTTP/1.1\r\n\r\n",
        pack(Frame.DATA, b"x"),
        b"\x01\x00\x00\x00\x09{",
        pack(Frame.REQUEST, b"{"),
    ):
        bad = connect()
        bad.sendall(garbage)
        bad.shutdown(socket.SHUT_WR)
        assert cut_off(bad)
    good = connect()
    good.sendall(head() + pack(Frame.END))
    assert response(good)[0] == 200


def test_a_silent_peer_loses_its_connection(serve: Serve) -> None:
    connection = serve(echo, threads=1, patience=0.2)()
    connection.sendall(head(length=5) + pack(Frame.DATA, b"a"))
    assert response(connection)[0] == 400
    assert cut_off(connection)


def test_stop_lets_what_runs_end_and_takes_nothing_new(serve: Serve) -> None:
    entered, release = threading.Event(), threading.Event()

    def application(request: Request) -> Response:
        entered.set()
        release.wait(20)
        return Response(200, [], b"done")

    connect = serve(application, threads=2)
    connection, idle = connect(), connect()
    connection.sendall(head() + pack(Frame.END))
    assert entered.wait(20)
    stopper: list[bool] = []
    thread = threading.Thread(target=lambda: stopper.append(connect.server.stop(20)))  # type: ignore[attr-defined]
    thread.start()
    release.set()
    assert response(connection)[2] == b"done"
    thread.join(20)
    assert stopper == [True]
    assert idle.recv(1) == b""
    assert not connect.path.exists()  # type: ignore[attr-defined]
