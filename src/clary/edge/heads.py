"""Request heads: bytes -> Head. httptools (llhttp, no leniency) judges every byte; limits and framing rules on top."""

from __future__ import annotations

from functools import lru_cache

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

LONGEST_HEAD = 64 * 1024  # bytes, request line included
MOST_HEADERS = 100

_ONCE = ("host", "content-length", "transfer-encoding", "authorization")
_USUAL_HEAD = 2048  # bytes

Fields = dict[str, tuple[str, ...]]


class BadRequestError(Exception):
    """A request that cannot be read; the connection is closed after the answer. `status` is 400, 431, 501 or 505."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class Head:
    """A request head as it came, as text in latin-1 (one character for each byte): `target` is not decoded; `fields`
    are the header values by lower-cased name.

    `length` is the declared body length, None when chunked, 0 when there is no body. `keep_alive` says whether the
    client may send another request on this connection. `old` is HTTP/1.0.
    """

    __slots__ = ("_lines", "expects_continue", "fields", "keep_alive", "length", "method", "old", "target")

    def __init__(self, method: str, target: str, lines: list[str], fields: Fields, old: bool) -> None:
        self.method = method
        self.target = target
        self.fields = fields
        self.old = old
        self.length: int | None = 0
        self.keep_alive = not old
        self.expects_continue = False
        self._lines = lines

    def first(self, name: str) -> str:
        """The first value of a header, by its lower-cased name; empty when it did not come."""
        values = self.fields.get(name)
        return values[0] if values else ""

    def pairs(self) -> list[tuple[str, str]]:
        """The headers in order, with their own spelling."""
        return [(name, value.strip(" \t")) for name, _, value in [line.partition(":") for line in self._lines]]


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
    lines = data.decode("latin-1").split("\r\n")
    del lines[-2:]
    usual = len(data) <= _USUAL_HEAD
    method, target, old = _known_request_line(lines.pop(0)) if usual else _request_line(lines.pop(0))
    if len(lines) > MOST_HEADERS:
        raise BadRequestError(f"more than {MOST_HEADERS} headers", 431)
    fields: Fields = dict(map(_known_field if usual else _field, lines))
    if len(fields) != len(lines):
        fields = _gathered(lines)
    head = Head(method, target, lines, fields, old)
    _frame(head, fields)
    return head


def _request_line(line: str) -> tuple[str, str, bool]:
    """(method, target, whether it is HTTP/1.0)."""
    method, _, rest = line.partition(" ")
    target, _, version = rest.rpartition(" ")
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequestError("this version of HTTP is not spoken here", 505)
    return method.lstrip("\r\n"), target.strip(" "), version == "HTTP/1.0"


def _field(line: str) -> tuple[str, tuple[str, ...]]:
    name, _, value = line.partition(":")
    return name.lower(), (value.strip(" \t"),)


# Most lines of a client's next head are those of its last. At most 1,024 of heads of at most 2 KiB.
_known_request_line = lru_cache(maxsize=1024)(_request_line)
_known_field = lru_cache(maxsize=1024)(_field)


def _gathered(lines: list[str]) -> Fields:
    """Where a name comes more than once."""
    fields: Fields = {}
    for name, values in map(_field, lines):
        if name in fields and name in _ONCE:
            raise BadRequestError(f"two {name} headers")
        fields[name] = (*fields.get(name, ()), *values)
    return fields


def _persists(options: str, old: bool) -> bool:
    """The parser's own answer is gone once a message without a body is complete."""
    tokens = {each.strip(" \t").lower() for each in options.split(",")}
    return "close" not in tokens and (not old or "keep-alive" in tokens)


def _frame(head: Head, fields: Fields) -> None:
    """Decides how long the body is. What two readers could read differently is refused (request smuggling)."""
    if "host" not in fields and not head.old:
        raise BadRequestError("there is no Host header")
    if "connection" in fields:
        head.keep_alive = _persists(fields["connection"][0], head.old)
    if "transfer-encoding" in fields:
        if "content-length" in fields or head.old:
            raise BadRequestError("Transfer-Encoding with Content-Length, or in HTTP/1.0")
        if fields["transfer-encoding"][0].lower() != "chunked":
            raise BadRequestError("the only transfer coding known here is chunked", 501)
        head.length = None
    elif "content-length" in fields:
        length = fields["content-length"][0]
        if not (length.isascii() and length.isdigit()) or len(length) > 18:
            raise BadRequestError("Content-Length is not a number of bytes")
        head.length = int(length)
    if "expect" in fields and head.length != 0 and not head.old:
        head.expects_continue = fields["expect"][0].lower() == "100-continue"
