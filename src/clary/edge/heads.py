"""Request heads: bytes -> Head. httptools (llhttp, no leniency) judges every byte; limits and framing rules on top."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from clary.wire.messages import Headers

LONGEST_HEAD = 64 * 1024  # bytes, request line included
MOST_HEADERS = 100

_ONCE = ("host", "content-length", "transfer-encoding", "authorization")


class BadRequestError(Exception):
    """A request that cannot be read; the connection is closed after the answer. `status` is 400, 431, 501 or 505."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class Head:
    """A request head as it came, as text in latin-1 (one character for each byte): `target` is not decoded, `headers`
    keep their order and spelling.

    `length` is the declared body length, None when chunked, 0 when there is no body. `keep_alive` says whether the
    client may send another request on this connection. `old` is HTTP/1.0.
    """

    __slots__ = ("expects_continue", "headers", "keep_alive", "length", "method", "old", "target")

    def __init__(self, method: str, target: str, headers: Headers, old: bool) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.old = old
        self.length: int | None = 0
        self.keep_alive = not old
        self.expects_continue = False

    def first(self, name: str) -> str:
        """The first value of a header, by its lower-cased name; empty when it did not come."""
        values = self.headers.by_name.get(name)
        return values[0] if values else ""


def parse(data: bytes) -> Head:
    """The head that `data` is, the empty line included. Raises BadRequestError."""
    try:
        # The parser is asked for its verdict alone: what it accepts splits at CRLF and colon in one way only, and
        # splitting costs less than a call for each header.
        HttpRequestParser(None).feed_data(data)
    except HttpParserUpgrade:
        pass  # CONNECT is looked at by the caller; an Upgrade that is offered need not be taken
    except HttpParserError as error:
        raise BadRequestError(f"the request head is malformed: {error}") from None
    line, *lines = data.decode("latin-1").split("\r\n")[:-2]
    method, _, rest = line.partition(" ")
    target, _, version = rest.rpartition(" ")
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequestError("this version of HTTP is not spoken here", 505)
    if len(lines) > MOST_HEADERS:
        raise BadRequestError(f"more than {MOST_HEADERS} headers", 431)
    headers = Headers([(name, value.strip(" \t")) for name, _, value in [each.partition(":") for each in lines]])
    head = Head(method.lstrip("\r\n"), target.strip(" "), headers, version == "HTTP/1.0")
    _frame(head, headers.by_name)
    return head


def _persists(options: str, old: bool) -> bool:
    """The parser's own answer is gone once a message without a body is complete."""
    tokens = {each.strip(" \t").lower() for each in options.split(",")}
    return "close" not in tokens and (not old or "keep-alive" in tokens)


def _frame(head: Head, fields: Mapping[str, Sequence[str]]) -> None:
    """Decides how long the body is. What two readers could read differently is refused (request smuggling)."""
    if len(fields) != len(head.headers.pairs):
        _refuse_doubles(fields)
    if "host" not in fields and not head.old:
        raise BadRequestError("there is no Host header")
    if "connection" in fields:
        head.keep_alive = _persists(head.first("connection"), head.old)
    if "transfer-encoding" in fields:
        if "content-length" in fields or head.old:
            raise BadRequestError("Transfer-Encoding with Content-Length, or in HTTP/1.0")
        if head.first("transfer-encoding").lower() != "chunked":
            raise BadRequestError("the only transfer coding known here is chunked", 501)
        head.length = None
    elif "content-length" in fields:
        head.length = _number(head.first("content-length"))
    if "expect" in fields and head.length != 0 and not head.old:
        head.expects_continue = head.first("expect").lower() == "100-continue"


def _refuse_doubles(fields: Mapping[str, Sequence[str]]) -> None:
    for name in _ONCE:
        if len(fields.get(name, ())) > 1:
            raise BadRequestError(f"two {name} headers")


def _number(length: str) -> int:
    if not (length.isascii() and length.isdigit()) or len(length) > 18:
        raise BadRequestError("Content-Length is not a number of bytes")
    return int(length)
