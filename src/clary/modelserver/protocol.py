"""HTTP/1.1 on one connection: keep-alive, pipelining in order, a limit on bodies, back-pressure by not reading."""

from __future__ import annotations

import asyncio
from collections import deque
from http import HTTPStatus
from typing import cast

import httptools

from clary.algorithms.serving import Reply
from clary.modelserver.application import Application, Request, refusal

_PIPELINED = 16  # requests that may wait on one connection before it is not read any further


class HttpConnection(asyncio.Protocol):
    """Requests of a connection are answered one after the other, in the order they came."""

    def __init__(self, application: Application, connections: set[HttpConnection]) -> None:
        self._application = application
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[Request | Reply, bool]] = deque()
        self._busy = False
        self._paused = False
        self._receiving = False
        self._ending = False
        self._over = False
        self._refused = False
        self._url = b""
        self._body = bytearray()
        self._content_type = self._accept = ""
        self._expects = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._over = True
        self._waiting.clear()
        if not self._closed.done():
            self._closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(400, "Upgrade is not supported")
        except httptools.HttpParserError as problem:
            if not self._refused:
                self._refuse(400, f"Bad Request: {problem}")

    def finish(self) -> asyncio.Future[None]:
        """Closes after the answers under way, that to a request still arriving included. Done when closed."""
        self._ending = True
        if not self._busy and not self._receiving:
            self._transport.close()
        return self._closed

    # what the parser calls
    def on_message_begin(self) -> None:
        self._receiving = True
        self._url = b""
        self._body.clear()
        self._content_type = self._accept = ""
        self._expects = False

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        match name.lower():
            case b"content-type":
                self._content_type = value.decode("latin-1")
            case b"accept":
                self._accept = value.decode("latin-1")
            case b"content-length":
                if int(value) > self._application.limit:
                    self._refuse(413, "The request body is longer than this model server accepts")
            case b"expect":
                self._expects = value.lower() == b"100-continue"

    def on_headers_complete(self) -> None:
        if self._expects and not self._refused:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body += body
        if len(self._body) > self._application.limit and not self._refused:
            self._refuse(413, "The request body is longer than this model server accepts")

    def on_message_complete(self) -> None:
        self._receiving = False
        if self._refused:
            return
        path = self._url.partition(b"?")[0]
        request = Request(self._parser.get_method(), path, self._content_type, self._accept, bytes(self._body))
        self._take(request, self._parser.should_keep_alive())

    def _refuse(self, status: int, message: str) -> None:
        """Answers and closes: what follows on this connection cannot be understood or is not wanted."""
        self._refused = True
        self._take(refusal(status, message), False)

    def _take(self, item: Request | Reply, keep: bool) -> None:
        self._waiting.append((item, keep))
        if len(self._waiting) >= _PIPELINED and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        if not self._busy:
            self._work()

    def _work(self) -> None:
        while self._waiting and not self._over:
            item, keep = self._waiting.popleft()
            answer = self._application.answer(item) if isinstance(item, Request) else item
            if isinstance(answer, Reply):
                self._write(answer, keep)
                continue
            self._busy = True
            answer.add_done_callback(lambda future, keep=keep: self._done(future, keep))  # type: ignore[misc]
            return
        if self._paused and not self._over:
            self._paused = False
            self._transport.resume_reading()

    def _done(self, future: asyncio.Future[Reply], keep: bool) -> None:
        self._busy = False
        if self._transport.is_closing():
            return
        self._write(future.result(), keep)
        self._work()

    def _write(self, reply: Reply, keep: bool) -> None:
        keep = keep and not (self._ending and not self._waiting)
        head = f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}\r\n"
        if reply.status != HTTPStatus.NO_CONTENT:
            head += f"Content-Type: {reply.content_type}\r\nContent-Length: {len(reply.body)}\r\n"
        if not keep:
            head += "Connection: close\r\n"
        self._transport.write(head.encode("latin-1") + b"\r\n" + reply.body)
        if not keep:
            self._over = True
            self._transport.close()
