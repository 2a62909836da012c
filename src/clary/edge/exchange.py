"""One request and its response on a client's connection, as those who serve it see it."""

from __future__ import annotations

import os
import socket
from typing import Protocol

from clary.edge.bodies import Framing, Sized
from clary.edge.carrier import Carrier
from clary.edge.heads import Head
from clary.edge.replies import Pairs, refusal, status_line

_FRAMING_HEADERS = frozenset(("connection", "keep-alive", "transfer-encoding", "date", "content-length"))
_BODYLESS = frozenset((204, 304))


class Consumer(Protocol):
    """Who serves an exchange. Called by the connection, in this order: `body` for each piece, `body_end` once.

    `client_gone` may come at any time instead; nothing follows it. `pause` and `resume` say whether the client takes
    more of the response (the connection buffers what is written meanwhile, so pausing late is no error)."""

    def body(self, data: bytes) -> None: ...

    def body_end(self) -> None: ...

    def client_gone(self) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class Exchange:
    """What a consumer does with its client: hold the body back, answer whole (`respond`) or in pieces (`start`,
    `write`, `finish`), or `cut` the connection. After the last of these every call is without effect."""

    __slots__ = (
        "_bodyless",
        "_chunked",
        "_connection",
        "_left",
        "body",
        "consumer",
        "head",
        "peer",
        "scheme",
        "started",
    )

    def __init__(self, connection: Carrier, head: Head, scheme: str, peer: str) -> None:
        self._connection: Carrier | None = connection
        self.head = head
        self.scheme = scheme
        self.peer = peer
        self.consumer: Consumer | None = None
        self.body: Framing | None = None  # where the request's ends, unless it was whole from the beginning
        self.started = False
        self._bodyless = False
        self._chunked = False
        self._left: int | None = None

    def send_continue(self) -> None:
        """Asks a client that waits for it (Expect: 100-continue) to send the body."""
        if self._connection and not self.started:
            self._connection.send_continue()

    def pause_body(self) -> None:
        if self._connection:
            self._connection.hold(True)

    def resume_body(self) -> None:
        if self._connection:
            self._connection.hold(False)

    def send(self, status: int, lines: bytes, body: bytes) -> None:
        """The whole response; `lines` are header lines, each with its CRLF, without those that frame the message."""
        connection = self._connection
        if connection is None or self.started:
            return
        first = status_line(status)
        self.started = True
        head = self.head
        length = b"" if status in _BODYLESS else b"Content-Length: %d\r\n" % len(body)
        if head.method == "HEAD" or status in _BODYLESS:
            body = b""
        closing = connection.closing_line(head)
        pieces = (first, lines, connection.dates.line(), length, closing, b"\r\n", body)
        connection.write(b"".join(pieces))
        self._end(connection)

    def respond(self, status: int, headers: Pairs, body: bytes) -> None:
        """Raises ValueError and KeyError of a head that cannot be sent; nothing of it has been then."""
        self.send(status, _lines(headers), body)

    def refuse(self, status: int, code: str, message: str) -> None:
        """Answers an error of the edge's own; cuts the client off when a response is on its way already."""
        if self.started:
            self.cut()
        else:
            headers, body = refusal(self.head, status, code, message)
            self.respond(status, headers, body)

    def start(self, status: int, headers: list[tuple[str, str]]) -> None:
        """Sends the head. A Content-Length among the headers frames the body, else it goes out in chunks."""
        connection = self._connection
        if connection is None or self.started:
            return
        length = next((value for name, value in headers if name.lower() == "content-length"), None)
        framing = b""
        # A HEAD response may declare the length of the body that it leaves out; 204 and 304 have none to declare.
        self._bodyless = status in _BODYLESS or self.head.method == "HEAD"
        if length is not None and status != 204:
            self._left = int(length)
            framing = b"Content-Length: %d\r\n" % self._left
        elif not self._bodyless and self.head.old:
            self.head.keep_alive = False  # HTTP/1.0 knows no chunks: the end of the connection ends the body
        elif not self._bodyless:
            self._chunked = True
            framing = b"Transfer-Encoding: chunked\r\n"
        lines = status_line(status) + _lines(headers) + connection.dates.line() + framing
        self.started = True
        connection.write(lines + connection.closing_line(self.head) + b"\r\n")

    def write(self, data: bytes) -> None:
        connection = self._connection
        if connection is None or self._bodyless or not data:
            return
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                self.cut()  # more than was declared: the client would take the rest for another response
                return
            connection.write(data)
        elif self._chunked:
            connection.write_pieces((b"%x\r\n" % len(data), data, b"\r\n"))
        else:
            connection.write(data)

    def second_socket(self) -> socket.socket | None:
        """Another descriptor of the client's socket, for bytes of the body that need not go through the transport. None
        where they must: over TLS, in chunks, or behind others that still wait. `passed` counts them."""
        connection = self._connection
        if connection is None or self.scheme != "http" or self._left is None or self._bodyless:
            return None
        if connection.transport.get_write_buffer_size():
            return None
        return _second(connection)

    def body_socket(self) -> socket.socket | None:
        """Another descriptor of the client's socket, for bytes of the request's body that need not go through the
        transport. None where they must: over TLS, in chunks, or when all have come. `body_passed` counts them. Who
        takes one has to `pause_body` first."""
        connection = self._connection
        if connection is None or self.scheme != "http" or not isinstance(self.body, Sized) or not self.body.left:
            return None
        return _second(connection)

    def body_span(self) -> tuple[int, int]:
        """Where what is to come begins in a body with a `body_socket`, and where it ends."""
        if not isinstance(self.body, Sized) or self.head.length is None:
            raise TypeError("nobody knows how long this body is")
        return self.head.length - self.body.left, self.head.length

    def body_passed(self, size: int, deadline: float) -> None:
        """`size` bytes of the body came over the second socket; the client has until `deadline` to send more."""
        if isinstance(self.body, Sized):
            self.body.left -= size
        if self._connection is not None:
            self._connection.deadline = deadline

    def passed(self, size: int, deadline: float) -> None:
        """`size` bytes of the body went over the second socket; the client has until `deadline` to take more."""
        if self._left is not None:
            self._left -= size
        if self._connection is not None:
            self._connection.deadline = deadline

    def finish(self) -> None:
        connection = self._connection
        if connection is None:
            return
        if self._left and not self._bodyless:
            self.cut()
            return
        if self._chunked:
            connection.write(b"0\r\n\r\n")
        self._end(connection)

    def cut(self) -> None:
        """Ends the connection at once, so that a body that broke off does not look complete."""
        connection, self._connection = self._connection, None
        if connection:
            self.consumer = None
            connection.abort()

    def detach(self) -> None:
        """The connection is lost: further calls have no effect."""
        self._connection = None

    def _end(self, connection: Carrier) -> None:
        self._connection = None
        self.consumer = None
        connection.exchange_ended()


def _second(connection: Carrier) -> socket.socket:
    return socket.socket(fileno=os.dup(connection.transport.get_extra_info("socket").fileno()))


def _lines(headers: Pairs) -> bytes:
    """Header lines of `headers` without those that belong to the connection. Raises ValueError on a line break."""
    kept = [f"{name}: {value}" for name, value in headers if name.lower() not in _FRAMING_HEADERS]
    text = "\r\n".join(kept)
    if text.count("\n") != max(len(kept) - 1, 0) or text.count("\r") != max(len(kept) - 1, 0):
        raise ValueError("a header holds a line break")
    return text.encode("latin-1") + b"\r\n" if kept else b""
