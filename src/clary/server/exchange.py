"""One exchange on a frame connection, control plane's side: request and response, or question and answer."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from clary.objects.base import FileBody
from clary.server.bodies import ClientGone, FrameBody, Waits
from clary.server.frames import PIECE, Frame, Inbound, pack, pack_json
from clary.server.lane import After
from clary.wire.messages import Headers, Request, Response

_LOG = logging.getLogger(__name__)
_READ_JSON = json.JSONDecoder().decode


@dataclass(frozen=True, slots=True)
class Hold:
    """What an application returns in place of a response that may come later: at most `seconds` from now, sooner when
    the record `arn` changes. `look` gives the response if it is time for it, `answer` whatever it is now; neither
    raises. `owner` is who waits."""

    arn: str
    owner: str
    seconds: float
    look: Callable[[], Response | None]
    answer: Callable[[], Response]


Application = Callable[[Request], Response | Hold]


def serve_request(
    connection: socket.socket,
    application: Application,
    park: Callable[[socket.socket, Hold], bool],
    strangers: Waits | None = None,
    known: Waits | None = None,
) -> After:
    """Serves one request. `park` takes over the connection of one whose answer is held, or returns False; its body is
    waited for as `strangers` says until the application knows its sender, then as `known` does. Raises OSError when the
    connection broke."""
    inbound = Inbound(connection)
    head = _first(inbound, Frame.REQUEST)
    if head is None:
        return After.OVER
    try:
        request, body = _request(head, connection, inbound, strangers, known)
    except (ValueError, KeyError, TypeError) as error:
        raise ConnectionError(f"no request: {error!r}") from error
    response = _responded(application, request)
    if isinstance(response, Hold):
        body.finish()
        if body.broken:
            return After.OVER
        if park(connection, response):
            return After.KEPT
        response = response.answer()
    content = response.body
    # Bytes first: to ask a protocol's class costs more than to send a small object.
    if not isinstance(content, bytes) and head.get("files") and isinstance(content, FileBody) and content.size > PIECE:
        body.finish()  # what comes after it are the answers to the files
        _send_files(connection, inbound, response, content)
    else:
        send(connection, response)
        body.finish()
    return After.OVER if body.broken else After.AGAIN


def serve_question(connection: socket.socket, answer: Callable[[dict[str, Any]], dict[str, Any]]) -> After:
    """Serves one question. Raises OSError when the connection broke."""
    question = _first(Inbound(connection), Frame.QUESTION)
    if question is None:
        return After.OVER
    connection.sendall(pack_json(Frame.ANSWER, _answered(answer, question)))
    return After.AGAIN


def _first(inbound: Inbound, kind: Frame) -> dict[str, Any] | None:
    """What the frame holds that begins an exchange, None when the peer has closed. Raises ConnectionError."""
    try:
        frame = inbound.receive()
        value = _READ_JSON(frame[1].decode()) if frame else None
    except ValueError as error:
        raise ConnectionError(f"no frame that begins an exchange: {error!r}") from error
    if frame is not None and (frame[0] is not kind or not isinstance(value, dict)):
        raise ConnectionError(f"no {kind.name} begins with {frame[0].name}")
    return value


def _request(
    head: dict[str, Any], connection: socket.socket, inbound: Inbound, strangers: Waits | None, known: Waits | None
) -> tuple[Request, FrameBody]:
    length, held_back, lands = head.get("length"), bool(head.get("expect")), bool(head.get("lands"))
    body = FrameBody(connection, inbound, length, held_back, lands, strangers, known)
    headers = Headers(tuple(map(tuple, head["headers"])))
    scheme, peer = head.get("scheme", "http"), head.get("peer", "")
    return Request(head["method"], head["target"], headers, body, scheme, peer), body


def _responded(application: Application, request: Request) -> Response | Hold:
    try:
        return application(request)
    except ClientGone:
        return Response(400, [("Connection", "close")])  # nobody reads it; it only ends the exchange
    except Exception:
        _LOG.exception("%s %s failed", request.method, request.path)
        return Response(500, [("Content-Type", "text/plain")], b"Internal error; the server's log has the details.\n")


def _answered(answer: Callable[[dict[str, Any]], dict[str, Any]], question: dict[str, Any]) -> dict[str, Any]:
    try:
        return answer(question)
    except Exception:
        _LOG.exception("the question %r failed", question.get("ask"))
        return {"error": "Internal error; the server's log has the details."}


def _send_files(connection: socket.socket, inbound: Inbound, response: Response, body: FileBody) -> None:
    """The edge sends the bytes itself: a thread is needed until it has opened the last file, whatever the client's
    speed. Raises OSError when the connection broke."""
    before, left = _head(response), body.size
    try:
        for extent in body.extents():
            left -= extent.length
            file = {**extent._asdict(), "last": not left}
            connection.sendall(before + pack_json(Frame.FILE, file))
            before = b""
            _await_taken(inbound)
    finally:
        body.close()
    connection.sendall(before + pack(Frame.END))


def _await_taken(inbound: Inbound) -> None:
    """As long as it takes: the edge keeps the time of its client."""
    while True:
        with suppress(BlockingIOError):
            frame = inbound.receive()
            if frame is None or frame[0] is not Frame.TAKEN:
                raise ConnectionError("a file was not taken")
            return


def _head(response: Response) -> bytes:
    return pack_json(Frame.RESPONSE, {"status": response.status, "headers": response.headers})


def send(connection: socket.socket, response: Response) -> None:
    """Raises OSError when the connection broke."""
    head = _head(response)
    if not isinstance(response.body, bytes):
        connection.sendall(head)
        _stream(connection, response.body)
    elif len(response.body) <= PIECE:
        data = pack(Frame.DATA, response.body) if response.body else b""
        connection.sendall(head + data + pack(Frame.END))
    else:
        connection.sendall(head)
        _send_data(connection, response.body)
        connection.sendall(pack(Frame.END))


def _stream(connection: socket.socket, pieces: Iterator[bytes]) -> None:
    """Sends an iterator's pieces. When it breaks midway the client is cut off: a short body must not look whole."""
    end = Frame.END
    try:
        while True:
            try:
                piece = next(pieces, None)
            except Exception:
                _LOG.exception("a response's body broke midway")
                end = Frame.ABORT
                break
            if piece is None:
                break
            _send_data(connection, piece)
    finally:
        if close := getattr(pieces, "close", None):
            close()
    connection.sendall(pack(end))


def _send_data(connection: socket.socket, data: bytes) -> None:
    view = memoryview(data)
    for at in range(0, len(view), PIECE):
        piece = view[at : at + PIECE]
        connection.sendall(pack(Frame.DATA, bytes(piece)))
