"""An object's bytes on their way in: from the server, or past it from the store that keeps them."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Mapping
from typing import Protocol

from clary.agent.elsewhere import BROKEN, ask
from clary.agent.refusals import S3Error

_DIRECT = "x-clary-direct"
_EXTENT = "x-clary-extent"
_PAUSE = 0.2  # seconds after a break


class Source(Protocol):
    """The S3 client that a reader is of. `authorities` as in `elsewhere.ask`."""

    authorities: str

    def exchange(
        self, method: str, bucket: str, key: str, query: dict[str, str], *, extra: Mapping[str, str]
    ) -> http.client.HTTPResponse: ...

    def pause(self, seconds: float) -> None: ...


class Reader:
    """A one-way stream of an object's bytes, continued after a break.

    The server may say that the next bytes are in another store, and where; then they are read there. What cannot be
    read there is asked of the server, for the rest of the object."""

    def __init__(self, source: Source, bucket: str, key: str) -> None:
        self._source, self._bucket, self._key = source, bucket, key
        self._at = 0
        self._end = 0  # of what the answer holds
        self._size = 0
        self._tag = ""
        self._direct = True
        self._answer = self._ask()

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, b"" at the end. Raises S3Error, also when the object changed while it was read."""
        while self._at < self._size:
            try:
                piece = self._answer.read(self._end - self._at if size < 0 else size)
            except BROKEN:
                piece = b""
            if piece:
                self._at += len(piece)
                return piece
            self._continue()
        return b""

    def _continue(self) -> None:
        self._answer.close()
        if self._at < self._end:  # it broke
            self._direct = False
            self._source.pause(_PAUSE)
        self._answer = self._ask()

    def _ask(self) -> http.client.HTTPResponse:
        extra = {"range": f"bytes={self._at}-"} if self._at else {}
        if self._direct:
            extra[_DIRECT] = "1"
        said = self._source.exchange("GET", self._bucket, self._key, {}, extra=extra)
        tag = said.getheader("ETag", "")
        if self._tag and tag != self._tag:
            said.close()
            text = f"s3://{self._bucket}/{self._key} changed while it was read"
            raise S3Error("ObjectChanged", text, 409)
        self._tag = tag
        if extent := said.getheader(_EXTENT):
            return self._follow(said, extent)
        count = int(said.getheader("Content-Length", "0"))
        self._end = self._at + count
        self._size = self._size or count
        return said

    def _follow(self, said: http.client.HTTPResponse, extent: str) -> http.client.HTTPResponse:
        with contextlib.closing(said):
            span, _, size = extent.partition("/")
            first, last = (int(each) for each in span.split("-"))
        self._size = int(size)
        self._end = self._at + last - first + 1
        try:
            return _get(said.getheader("Location", ""), first, last, self._source.authorities)
        except BROKEN:
            self._direct = False
            return self._ask()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._answer.close()


def _get(url: str, first: int, last: int, authorities: str) -> http.client.HTTPResponse:
    """Those bytes of what is there. Raises BROKEN."""
    answer = ask("GET", url, {"Range": f"bytes={first}-{last}"}, authorities)
    if answer.status != http.client.PARTIAL_CONTENT or answer.getheader("Content-Length") != str(last - first + 1):
        answer.close()
        raise ConnectionError(f"the store answered {answer.status}")
    return answer
