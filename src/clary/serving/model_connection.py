"""A keep-alive HTTP/1.1 connection to a model server on a unix socket: one request at a time, whole answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from httptools import HttpParserError

from clary.serving.answer_heads import LONGEST_PLAIN, HeadReader, plain


class Asker(Protocol):
    """Who sent the request. Exactly one of these is called, once."""

    def model_answered(self, status: int, lines: bytes, body: bytes) -> None:
        """`lines` are the header lines that the client gets to see, each with its CRLF."""

    def model_oversized(self) -> None: ...

    def model_broke(self) -> None:
        """The connection ended, or what came is no HTTP, before there was an answer."""


class _Answer(HeadReader):
    """An answer that comes in pieces, in chunks or up to the end of the connection, or after a 1xx."""

    __slots__ = ("_limit", "body", "complete", "size")

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit
        self.body: list[bytes] = []
        self.size = 0
        self.complete = False

    def on_body(self, data: bytes) -> None:
        self.size += len(data)
        if self.size <= self._limit:
            self.body.append(data)

    def on_message_complete(self) -> None:
        if self.status >= 200:
            self.complete = True


class ModelConnection(asyncio.Protocol):
    """`freed` is called when the connection may take another request, `lost` when it has ended. `limit` bounds an
    answer's body, in bytes."""

    __slots__ = ("_answer", "_asker", "_freed", "_limit", "_lost", "_transport")

    def __init__(
        self, limit: int, freed: Callable[[ModelConnection], None], lost: Callable[[ModelConnection], None]
    ) -> None:
        self._limit = limit
        self._freed = freed
        self._lost = lost
        self._asker: Asker | None = None
        self._transport: asyncio.Transport
        self._answer: _Answer | None = None  # what has begun to come and is not whole

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
        elif self._answer is not None:
            self._read(self._answer, data)
        elif not self._is_whole(data):
            self._answer = _Answer(self._limit)
            self._read(self._answer, data)

    def eof_received(self) -> bool:
        answer = self._answer
        if answer is not None and answer.status >= 200 and not answer.bounded:
            self._complete(answer.status, b"".join(answer.lines), b"".join(answer.body), False)
        return False

    def connection_lost(self, _: Exception | None) -> None:
        self._broke()
        self._lost(self)

    # Reading answers.

    def _is_whole(self, data: bytes) -> bool:
        """Passes the answer on when it is a plain one and came in one piece."""
        end = data.find(b"\r\n\r\n", 0, LONGEST_PLAIN) + 4
        head = plain(data[:end]) if end > 3 else None
        if head is None or end + head.length != len(data) or head.length > self._limit:
            return False
        self._complete(head.status, head.lines, data[end:], head.keep)
        return True

    def _read(self, answer: _Answer, data: bytes) -> None:
        try:
            answer.parser.feed_data(data)
        except HttpParserError:
            self._broke()
            return
        if answer.size > self._limit:
            asker, self._asker = self._asker, None
            self._transport.abort()
            if asker:
                asker.model_oversized()
        elif answer.complete:
            self._complete(answer.status, b"".join(answer.lines), b"".join(answer.body), answer.keep)

    def _complete(self, status: int, lines: bytes, body: bytes, keep: bool) -> None:
        asker, self._asker = self._asker, None
        self._answer = None
        if asker is None:
            return
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
