"""A client's connection: HTTP/1.1 on an asyncio transport, one exchange at a time, in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from clary.edge.bodies import Framing, framing
from clary.edge.carrier import Carrier
from clary.edge.deadlines import (
    BODY_SECONDS,
    HEAD_SECONDS,
    IDLE_SECONDS,
    LINGER_SECONDS,
    NEVER,
    STALL_SECONDS,
    Deadlines,
)
from clary.edge.exchange import Consumer, Exchange
from clary.edge.heads import LONGEST_HEAD, BadRequestError, Head, parse
from clary.edge.peer import Peer
from clary.edge.replies import Dates, farewell

log = logging.getLogger(__name__)

_LINGER = 256 * 1024 * 1024

Dispatch = Callable[[Exchange], Consumer | None]
Takeover = Callable[["ClientConnection", Head, bytes], bool]


class ClientConnection(Carrier):
    """`dispatch` gives each request its consumer (None: answered already). `takeover` is offered each head whose target
    is no path, with the bytes after it, and returns True when it has taken the whole connection (the proxy does)."""

    def __init__(
        self, scheme: str, peer: Peer, dispatch: Dispatch, takeover: Takeover, deadlines: Deadlines, dates: Dates
    ) -> None:
        super().__init__(scheme, peer, deadlines, dates)
        self._dispatch = dispatch
        self._takeover = takeover
        self._exchange: Exchange | None = None
        self._kept = b""  # an incomplete head, or what the client sent ahead
        self._advancing = False
        self._ended = False  # nothing more will come from the client
        self._lingering = 0  # bytes that may still be read over; the response is out

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self.write = self.transport.write
        self.deadline = self._deadlines.now() + HEAD_SECONDS
        self._deadlines.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._deadlines.discard(self)
        self._leave()

    def eof_received(self) -> bool:
        if self._exchange is None or self._body is not None or self.scheme != "http":
            self._leave()
            return False
        self._ended = True  # it closed its sending side only: it still gets its answers
        return True

    def pause_writing(self) -> None:
        self.deadline = self._deadlines.now() + STALL_SECONDS
        if self._exchange and self._exchange.consumer:
            self._exchange.consumer.pause()

    def resume_writing(self) -> None:
        self.deadline = NEVER if self._exchange else self._deadlines.now() + IDLE_SECONDS
        if self._exchange and self._exchange.consumer:
            self._exchange.consumer.resume()

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            self._lingering -= len(data)
            if self._lingering <= 0:
                self.transport.close()
        elif self._last and self._exchange is None:
            return
        elif self._exchange is not None and self._body is None:
            self._kept += data
            if len(self._kept) > LONGEST_HEAD:
                self.hold(True)
        else:
            self._advance(self._kept + data if self._kept else data)

    # What the deadlines call.

    def expire(self) -> None:
        if self._kept and self._exchange is None and self._body is None:
            self._refuse(408, "RequestTimeout", "The request head did not come in time.")
        else:
            self.transport.abort()

    def stop(self) -> None:
        """Ends the connection as soon as no exchange runs on it."""
        self._last = True
        if self._exchange is None:
            self.transport.close()

    # What the exchange calls.

    def exchange_ended(self) -> None:
        self._exchange = None
        self._continue_owed = False
        now = self._deadlines.now()
        if self._last:
            self._close(now)
            return
        self.deadline = now + (IDLE_SECONDS if self._body is None else LINGER_SECONDS)
        if self._held:
            self.hold(False)
        if self._kept and not self._advancing:
            self._advance(self._kept)
        if self._ended and self._exchange is None and not self._advancing:
            self._close(now)

    def abort(self) -> None:
        self._exchange = None
        self._last = True
        self.transport.abort()

    # Reading requests.

    def _advance(self, data: bytes) -> None:
        self._kept = b""
        self._advancing = True
        try:
            while data and not self._gone:
                if self._body is not None:
                    data = self._take_body(self._body, data)
                elif self._exchange is not None:
                    self._kept = data
                    break
                elif self._last:
                    break
                else:
                    data = self._take_head(data)
        except BadRequestError as error:
            self._broken(error)
        finally:
            self._advancing = False

    def _take_head(self, data: bytes) -> bytes:
        """Begins an exchange; returns the bytes after the head, b"" when the head is incomplete (it is kept)."""
        if data[:2] == b"\r\n":
            return data[2:]  # RFC 9112 §2.2: an empty line before a request is read over
        end = data.find(b"\r\n\r\n", 0, LONGEST_HEAD)
        if end < 0:
            self._keep_head(data)
            return b""
        head = parse(data[: end + 4])
        rest = data[end + 4 :]
        if head.target[:1] != "/" and self._takeover(self, head, rest):
            self._gone = True
            self._deadlines.discard(self)
            return b""
        return self._begin(head, rest)

    def _keep_head(self, data: bytes) -> None:
        if len(data) >= LONGEST_HEAD:
            raise BadRequestError(f"the request head is longer than {LONGEST_HEAD} bytes", 431)
        if b"\n\n" in data:
            raise BadRequestError("the lines of the request head do not end in CRLF")
        self.deadline = min(self.deadline, self._deadlines.now() + HEAD_SECONDS)
        self._kept = data

    def _begin(self, head: Head, data: bytes) -> bytes:
        """`data` came with the head. Returns what of it is still to be read."""
        length = head.length
        whole = length is not None and length <= len(data)
        exchange = self._exchange = Exchange(self, head, self.scheme, self.peer.address)
        self._body = exchange.body = None if whole else framing(length)
        self._continue_owed = head.expects_continue and not whole
        self.deadline = NEVER if whole else self._deadlines.now() + BODY_SECONDS
        consumer = self._consumer(exchange)
        if consumer is not None and self._exchange is exchange:
            exchange.consumer = consumer
            if whole:
                self._give(exchange, consumer, data[:length], True)
        return data[length:] if whole else data

    def _consumer(self, exchange: Exchange) -> Consumer | None:
        try:
            return self._dispatch(exchange)
        except Exception:
            path = exchange.head.target.partition("?")[0]  # the query of a presigned URL is a secret
            log.exception("serving %s %s", exchange.head.method, path)
            exchange.refuse(500, "InternalFailure", "An internal error occurred.")
            return None

    def _give(self, exchange: Exchange, consumer: Consumer, data: bytes, ended: bool) -> None:
        if data:
            consumer.body(data)
        if ended and self._exchange is exchange and exchange.consumer is not None:
            exchange.consumer.body_end()  # it may have put another in its place

    def _take_body(self, body: Framing, data: bytes) -> bytes:
        pieces, rest, ended = body.feed(data)
        if ended:
            self._body = None
            self.deadline = NEVER if self._exchange else self._deadlines.now() + IDLE_SECONDS
        elif not self._held and self._exchange is not None:
            self.deadline = self._deadlines.now() + BODY_SECONDS
        self._continue_owed = False  # the client did not wait for it
        if self._exchange is not None and self._exchange.consumer is not None:
            self._give(self._exchange, self._exchange.consumer, b"".join(pieces), ended)
        return rest

    # Ending.

    def _broken(self, error: BadRequestError) -> None:
        code = "NotImplemented" if error.status == 501 else "BadRequest"
        message = f"The request could not be read: {error.message}."
        exchange = self._exchange
        if exchange is None:
            self._refuse(error.status, code, message)
            return
        # The body is broken: nobody can tell where the next request begins.
        consumer, exchange.consumer = exchange.consumer, None
        if consumer is not None:
            consumer.client_gone()
        self._last = True
        exchange.refuse(error.status, code, message)

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Answers a request that has no exchange, then closes."""
        self._last = True
        self.write(farewell(status, code, message, self.dates))
        self._close(self._deadlines.now())

    def _close(self, now: float) -> None:
        """Closes once all is written. A client that still sends is read over for a while: a reset would take the
        answer from it."""
        self.deadline = now + STALL_SECONDS
        if self._body is None:
            self.transport.close()
            return
        self._lingering = _LINGER
        self.deadline = now + LINGER_SECONDS
        self.hold(False)
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _leave(self) -> None:
        """The client is gone."""
        self._gone = True
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.detach()
            if exchange.consumer is not None:
                exchange.consumer.client_gone()
