"""The heads of plain requests: a gateway's are alike, so each is read once."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from clary.algorithms.serving import Headers

LONGEST_PLAIN = 1024  # bytes
_FRAMING = frozenset((b"transfer-encoding", b"expect", b"upgrade"))


class Plain(NamedTuple):
    """A head whose request has a body of `length` bytes and leaves its connection open."""

    method: bytes
    path: bytes
    content_type: str
    accept: str
    headers: Headers
    length: int


class _Reader:
    """What the parser says of one head."""

    def __init__(self) -> None:
        self.parser = HttpRequestParser(self)
        self.url = b""
        self.values: dict[bytes, bytes] = {}
        self.pairs: list[tuple[str, str]] = []
        self.complete = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.values[name.lower()] = value
        self.pairs.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        self.complete = self.parser.should_keep_alive()


@lru_cache(maxsize=256)
def plain(head: bytes) -> Plain | None:
    """Of a head of at most LONGEST_PLAIN bytes, the empty line included. None for one that is not plain, or malformed.

    Remembered: the same bytes never mean anything else."""
    reader = _Reader()
    try:
        reader.parser.feed_data(head)
    except (HttpParserError, HttpParserUpgrade):
        return None
    values = reader.values
    if not reader.complete or not _FRAMING.isdisjoint(values):
        return None
    headers = Headers(reader.pairs)
    path = reader.url.partition(b"?")[0]
    length = int(values.get(b"content-length", b"0"))
    content_type, accept = headers.get("content-type", ""), headers.get("accept", "")
    return Plain(reader.parser.get_method(), path, content_type, accept, headers, length)
