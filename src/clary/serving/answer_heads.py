"""The head of a model server's answer: what of it counts, and what the client gets to see."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from httptools import HttpParserError, HttpResponseParser

LONGEST_PLAIN = 1024  # bytes

_PASSED_BACK = {
    b"content-type": b"Content-Type: ",
    b"x-amzn-sagemaker-custom-attributes": b"X-Amzn-SageMaker-Custom-Attributes: ",
    b"x-amzn-sagemaker-new-session-id": b"X-Amzn-SageMaker-New-Session-Id: ",
    b"x-amzn-sagemaker-closed-session-id": b"X-Amzn-SageMaker-Closed-Session-Id: ",
}
_BODYLESS = (204, 304)


class Plain(NamedTuple):
    """A head that declares how long its body is: `length` bytes. `lines` are the header lines for the client, each with
    its CRLF; `keep`: the connection may take another request."""

    status: int
    lines: bytes
    length: int
    keep: bool


class HeadReader:
    """What a parser says of a head. `bounded`: it declares where the answer ends; after `length` bytes if not None."""

    __slots__ = ("bounded", "keep", "length", "lines", "parser", "status")

    def __init__(self) -> None:
        self.parser = HttpResponseParser(self)
        self.on_message_begin()

    def on_message_begin(self) -> None:
        self.lines: list[bytes] = []
        self.length: int | None = None
        self.bounded = False
        self.keep = False
        self.status = 0  # until the head is complete

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        passed = _PASSED_BACK.get(name)
        if passed is not None:
            self.lines.append(passed + value + b"\r\n")
        elif name == b"content-length":
            self.bounded, self.length = True, int(value)
        elif name == b"transfer-encoding":
            self.bounded = True

    def on_headers_complete(self) -> None:
        self.status = self.parser.get_status_code()
        self.keep = self.parser.should_keep_alive()


@lru_cache(maxsize=256)
def plain(head: bytes) -> Plain | None:
    """Of a head of at most LONGEST_PLAIN bytes, the empty line included. None for one that is not plain, or malformed.

    Remembered: a model server's answers begin alike, and the same bytes never mean anything else."""
    reader = HeadReader()
    try:
        reader.parser.feed_data(head)
    except HttpParserError:
        return None
    if reader.length is None or reader.status < 200 or reader.status in _BODYLESS:
        return None
    return Plain(reader.status, b"".join(reader.lines), reader.length, reader.keep)
