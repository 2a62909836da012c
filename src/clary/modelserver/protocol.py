"""HTTP/1.1 on one connection: keep-alive, pipelining in order, a limit on bodies, back-pressure by not reading."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import lru_cache
from http import HTTPStatus
from typing import cast

import httptools

from clary.algorithms.serving import Headers, Reply
from clary.modelserver.application import Application, Request, refusal
from clary.modelserver.heads import LONGEST_PLAIN, plain

_PIPELINED = 16  # requests that may wait on one connection before it is not read any further
_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_BODYLESS = (204, 304)  # plain numbers: comparing with the enumeration takes longer than reading a header


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
        self._body: list[bytes] = []
        self._size = 0
        self._headers: list[tuple[str, str]] = []

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
        if self._refused or (not self._receiving and self._is_plain(data)):
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(400, "Upgrade is not supported")
        except httptools.HttpParserError as problem:
            if not self._refused:
                self._refuse(400, f"Bad Request: {problem}")

    def _is_plain(self, data: bytes) -> bool:
        """Takes `data` when it is one whole request with a plain head: the parser, between two requests, never sees it.
        What it would call costs a request as much as a tree costs a row."""
        end = data.find(b"\r\n\r\n", 0, LONGEST_PLAIN) + 4
        head = plain(data[:end]) if end > 3 else None
        if head is None or end + head.length != len(data) or head.length > self._application.limit:
            return False
        self._take(Request(*head[:-1], data[end:]), True)
        return True

    def finish(self) -> asyncio.Future[None]:
        """Closes after the answers under way, that to a request still arriving included. Done when closed."""
        self._ending = True
        if not self._busy and not self._receiving:
            self._transport.close()
        return self._closed

    # What the parser calls.

    def on_message_begin(self) -> None:
        self._receiving = True
        self._url = b""
        self._body = []
        self._size = 0
        self._headers = []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("latin-1"), value.decode("latin-1")))
        match name.lower():
            case b"content-length":
                if int(value) > self._application.limit:
                    self._refuse(413, "The request body is longer than this model server accepts")
            case b"expect":
                if value.lower() == b"100-continue" and not self._refused:
                    self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)
        self._size += len(body)
        if self._size > self._application.limit and not self._refused:
            self._refuse(413, "The request body is longer than this model server accepts")

    def on_message_complete(self) -> None:
        self._receiving = False
        if self._refused:
            return
        path = self._url.partition(b"?")[0]
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        headers = Headers(self._headers)
        content_type, accept = headers.get("content-type", ""), headers.get("accept", "")
        request = Request(self._parser.get_method(), path, content_type, accept, headers, body)
        self._take(request, self._parser.should_keep_alive())

    def _refuse(self, status: int, message: str) -> None:
        """Answers and closes: what follows on this connection cannot be understood or is not wanted."""
        self._refused = True
        self._body = []
        self._take(refusal(status, message), False)

    def _take(self, item: Request | Reply, keep: bool) -> None:
        if not self._busy:  # then none is waiting either
            self._answer(item, keep)
            return
        self._waiting.append((item, keep))
        if len(self._waiting) >= _PIPELINED and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _answer(self, item: Request | Reply, keep: bool) -> None:
        if self._over:
            return
        answer = self._application.answer(item) if isinstance(item, Request) else item
        if isinstance(answer, Reply):
            self._write(answer, keep)
        else:
            self._busy = True
            answer.add_done_callback(lambda future: self._done(future, keep))

    def _done(self, future: asyncio.Future[Reply], keep: bool) -> None:
        self._busy = False
        if self._transport.is_closing():
            return
        self._write(future.result(), keep)
        while self._waiting and not self._busy:
            self._answer(*self._waiting.popleft())
        if self._paused and not self._busy and not self._over:
            self._paused = False
            self._transport.resume_reading()

    def _write(self, reply: Reply, keep: bool) -> None:
        keep = keep and not (self._ending and not self._waiting)
        head = _head(reply.status, reply.phrase, reply.content_type, keep)
        if reply.headers:
            head += "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items()).encode("latin-1")
        if reply.status in _BODYLESS:
            self._transport.write(head + b"\r\n")
        else:
            self._transport.write(b"%bContent-Length: %d\r\n\r\n%b" % (head, len(reply.body), reply.body))
        if not keep:
            self._over = True
            self._transport.close()


@lru_cache(64)
def _head(status: int, phrase: str, content_type: str, keep: bool) -> bytes:
    """An answer's first lines, without its length: there are few kinds of them."""
    lines = f"HTTP/1.1 {status} {phrase or _PHRASES.get(status, '')}\r\n"
    if not keep:
        lines += "Connection: close\r\n"
    if status not in _BODYLESS:
        lines += f"Content-Type: {content_type}\r\n"
    return lines.encode("latin-1")
