"""A keep-alive HTTP/1.1 connection to a model server on a unix socket: one request at a time, whole answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from httptools import HttpParserError, HttpResponseParser

_PASSED_BACK = {
    b"content-type": b"Content-Type: ",
    b"x-amzn-sagemaker-custom-attributes": b"X-Amzn-SageMaker-Custom-Attributes: ",
    b"x-amzn-sagemaker-new-session-id": b"X-Amzn-SageMaker-New-Session-Id: ",
    b"x-amzn-sagemaker-closed-session-id": b"X-Amzn-SageMaker-Closed-Session-Id: ",
}


class Asker(Protocol):
    """Who sent the request. Exactly one of these is called, once."""

    def model_answered(self, status: int, lines: bytes, body: bytes) -> None:
        """`lines` are the header lines that the client gets to see, each with its CRLF."""

    def model_oversized(self) -> None: ...

    def model_broke(self) -> None:
        """The connection ended, or what came is no HTTP, before there was an answer."""


class ModelConnection(asyncio.Protocol):
    """`freed` is called when the connection may take another request, `lost` when it has ended."""

    __slots__ = (
        "_answers",
        "_asker",
        "_body",
        "_bounded",
        "_freed",
        "_keep",
        "_limit",
        "_lines",
        "_lost",
        "_parser",
        "_size",
        "_transport",
    )

    def __init__(
        self, limit: int, freed: Callable[[ModelConnection], None], lost: Callable[[ModelConnection], None]
    ) -> None:
        self._limit = limit
        self._freed = freed
        self._lost = lost
        self._asker: Asker | None = None
        self._transport: asyncio.Transport
        self._parser = HttpResponseParser(self)
        self._reset()

    def _reset(self) -> None:
        self._lines: list[bytes] = []
        self._body: list[bytes] = []
        self._size = 0
        self._bounded = False  # the answer declares where it ends
        self._answers = False  # its head is complete
        self._keep = False

    def send(self, asker: Asker, head: bytes, body: bytes) -> None:
        self._asker = asker
        if len(body) < 65536:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))

    def close(self) -> None:
        """The asker waits no longer; it is not called again."""
        self._asker = None
        self._transport.abort()

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        if self._asker is None:
            self._transport.abort()  # it speaks unasked
            return
        try:
            self._parser.feed_data(data)
        except HttpParserError:
            self._broke()

    def eof_received(self) -> bool:
        if self._asker is not None and self._answers and not self._bounded:
            self._keep = False
            self._complete()
        return False

    def connection_lost(self, _: Exception | None) -> None:
        self._broke()
        self._lost(self)

    # What the parser calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        passed = _PASSED_BACK.get(name)
        if passed is not None:
            self._lines.append(passed + value + b"\r\n")
        elif name in (b"content-length", b"transfer-encoding"):
            self._bounded = True

    def on_headers_complete(self) -> None:
        self._answers = self._parser.get_status_code() >= 200
        self._keep = self._parser.should_keep_alive()

    def on_body(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._limit:
            asker, self._asker = self._asker, None
            self._body.clear()
            self._transport.abort()
            if asker:
                asker.model_oversized()
        else:
            self._body.append(data)

    def on_message_complete(self) -> None:
        if self._answers:
            self._complete()
        else:
            self._reset()  # 1xx: the answer is still to come

    def _complete(self) -> None:
        asker, self._asker = self._asker, None
        if asker is None:
            return
        status, lines = self._parser.get_status_code(), b"".join(self._lines)
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        keep = self._keep
        self._reset()
        if keep:
            self._freed(self)
        else:
            self._transport.close()
        asker.model_answered(status, lines, body)

    def _broke(self) -> None:
        asker, self._asker = self._asker, None
        self._transport.abort()
        if asker is not None:
            asker.model_broke()
