"""Request heads: bytes -> Head, by httptools (llhttp, no leniency), with the limits and the framing rules on top."""

from __future__ import annotations

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

LONGEST_HEAD = 64 * 1024  # bytes, request line included
MOST_HEADERS = 100

_ONCE = frozenset((b"host", b"content-length", b"transfer-encoding", b"authorization"))


class BadRequestError(Exception):
    """A request that cannot be read; the connection is closed after the answer. `status` is 400, 431, 501 or 505."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class Head:
    """A request head as it came: `target` byte for byte, `headers` in order with their own spelling.

    `index` has the first value of each lower-cased name. `length` is the declared body length, None when chunked, 0
    when there is no body. `keep_alive` says whether the client may send another request on this connection.
    """

    __slots__ = ("chunked", "expects_continue", "headers", "index", "keep_alive", "length", "method", "old", "target")

    def __init__(self) -> None:
        self.method = b""
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.index: dict[bytes, bytes] = {}
        self.length: int | None = 0
        self.chunked = False
        self.keep_alive = False
        self.expects_continue = False
        self.old = False  # HTTP/1.0

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value.strip(b" \t")))


def parse(data: bytes) -> Head:
    """The head that `data` is, the empty line included. Raises BadRequestError."""
    head = Head()
    parser = HttpRequestParser(head)
    try:
        parser.feed_data(data)
    except HttpParserUpgrade:
        pass  # CONNECT is looked at by the caller; an Upgrade that is offered need not be taken
    except HttpParserError as error:
        raise BadRequestError(f"the request head is malformed: {error}") from None
    head.method = parser.get_method()
    version = data[: data.index(b"\r\n")].rpartition(b"/")[2]  # the parser takes its time to say it
    head.old = version == b"1.0"
    if not head.old and version != b"1.1":
        raise BadRequestError("this version of HTTP is not spoken here", 505)
    head.index = {name.lower(): value for name, value in reversed(head.headers)}
    options = head.index.get(b"connection")
    head.keep_alive = not head.old if options is None else _persists(options, head.old)
    _frame(head)
    return head


def _refuse_doubles(head: Head) -> None:
    names = [name.lower() for name, _ in head.headers]
    for name in _ONCE:
        if names.count(name) > 1:
            raise BadRequestError(f"two {name.decode()} headers")


def _persists(options: bytes, old: bool) -> bool:
    """The parser's own answer is gone once a message without a body is complete."""
    tokens = {each.strip(b" \t").lower() for each in options.split(b",")}
    return b"close" not in tokens and (not old or b"keep-alive" in tokens)


def _frame(head: Head) -> None:
    """Decides how long the body is. What two readers could read differently is refused (request smuggling)."""
    index = head.index
    if len(head.headers) > MOST_HEADERS:
        raise BadRequestError(f"more than {MOST_HEADERS} headers", 431)
    if len(index) != len(head.headers):
        _refuse_doubles(head)
    if not head.old and b"host" not in index:
        raise BadRequestError("there is no Host header")
    length = index.get(b"content-length")
    coding = index.get(b"transfer-encoding")
    if coding is not None:
        if length is not None or head.old:
            raise BadRequestError("Transfer-Encoding with Content-Length, or in HTTP/1.0")
        if coding.lower() != b"chunked":
            raise BadRequestError("the only transfer coding known here is chunked", 501)
        head.chunked, head.length = True, None
    elif length is not None:
        if not length.isdigit() or len(length) > 18:
            raise BadRequestError("Content-Length is not a number of bytes")
        head.length = int(length)
    if head.length != 0 and not head.old:
        head.expects_continue = index.get(b"expect", b"").lower() == b"100-continue"
