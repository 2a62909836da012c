"""An object's bytes on their way out: to the server, or past it into the store that keeps them."""

from __future__ import annotations

import base64
import hashlib
import http.client
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, Protocol

from clary.agent.elsewhere import BROKEN, ask
from clary.agent.refusals import S3Error

PIECE = 1 << 20
_LEND, _LENT = "x-clary-lend", "x-clary-lent"  # the protocol: clary.services.s3.lending
_LEAST = 1 << 20  # bytes that are worth two more requests
_TRIES = 3
_PAUSE = 0.5  # seconds


class Payload(Protocol):
    """A request body that can be sent again: `pieces` begins anew each time."""

    @property
    def size(self) -> int: ...

    def pieces(self) -> Iterator[bytes]: ...


class Whole:
    """Bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def pieces(self) -> Iterator[bytes]:
        yield self._data


class Slice:
    """`size` bytes of a file, from `start` on."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file, self._start, self.size = file, start, size

    def pieces(self) -> Iterator[bytes]:
        self._file.seek(self._start)
        left = self.size
        while left and (piece := self._file.read(min(left, PIECE))):
            left -= len(piece)
            yield piece


def digest(payload: Payload, new: Callable[[], Any]) -> bytes:
    """The hash of its bytes that `new` makes."""
    running = new()
    for piece in payload.pieces():
        running.update(piece)
    return bytes(running.digest())


class Target(Protocol):
    """The S3 client that a sender is of. `authorities` as in `elsewhere.ask`."""

    authorities: str

    def whole(
        self,
        method: str,
        bucket: str,
        key: str,
        query: dict[str, str],
        body: Payload | None = None,
        *,
        extra: Mapping[str, str],
    ) -> tuple[http.client.HTTPResponse, bytes]: ...

    def pause(self, seconds: float) -> None: ...


class Sender:
    """Puts objects, and parts of uploads.

    Past the server where it says that and how; as soon as that does not work once, all goes to the server."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._direct = True

    def put(self, bucket: str, key: str, query: dict[str, str], body: Payload) -> str:
        """The ETag, as the server says it. Raises S3Error."""
        tag = self._past(bucket, key, query, body) if self._direct and body.size >= _LEAST else None
        if tag is not None:
            return tag
        return _tag(self._target.whole("PUT", bucket, key, query, body, extra={})[0])

    def _past(self, bucket: str, key: str, query: dict[str, str], body: Payload) -> str | None:
        """None when the bytes have to go to the server."""
        md5 = digest(body, lambda: hashlib.md5(usedforsecurity=False))
        proof = {"content-md5": base64.b64encode(md5).decode()}
        try:
            lent = self._ask(bucket, key, query, {**proof, _LEND: str(body.size)})
            name, place = lent.getheader(_LENT), lent.getheader("Location")
            self._direct = bool(name and place) and self._write(str(place), proof, body)
            if not self._direct:
                return None
            return _tag(self._ask(bucket, key, query, {**proof, _LENT: str(name)}))
        except S3Error as error:
            if error.code in ("BadDigest", "NoSuchLoan"):  # of a server that does not know this, or nothing came
                self._direct = False
                return None
            raise

    def _ask(self, bucket: str, key: str, query: dict[str, str], extra: dict[str, str]) -> http.client.HTTPResponse:
        return self._target.whole("PUT", bucket, key, query, extra=extra)[0]

    def _write(self, place: str, proof: Mapping[str, str], body: Payload) -> bool:
        """Whether the store has the bytes, as far as it says. After an answer that was lost they are there already."""
        headers = {**proof, "if-none-match": "*", "content-length": str(body.size)}
        for _ in range(_TRIES):
            try:
                answer = ask("PUT", place, headers, self._target.authorities, body.pieces())
                answer.read()
            except BROKEN:
                self._target.pause(_PAUSE)
                continue
            if answer.status in (http.client.OK, http.client.PRECONDITION_FAILED):
                return True
            if answer.status < http.client.INTERNAL_SERVER_ERROR:
                return False
            self._target.pause(_PAUSE)
        return False


def _tag(answer: http.client.HTTPResponse) -> str:
    return answer.getheader("ETag", "")
