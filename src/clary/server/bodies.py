"""A request's body as the control plane reads it: out of frames, or out of the file to which the edge writes it."""

from __future__ import annotations

import errno
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from clary.errors import ServiceError
from clary.server.frames import COUNT, PIECE, Frame, Inbound, pack, pack_json

_LANDS_FROM = 1024 * 1024  # bytes still to come that are worth a file of the edge's own
_AHEAD = 32 * 1024 * 1024  # bytes in the file that nobody has read yet
_TELL = 8 * 1024 * 1024  # bytes read after which the edge hears of it
_ON_ITS_WAY = 0.1  # seconds in which comes what an edge has in its hands
_LOG = logging.getLogger(__name__)


class ClientGone(ConnectionError):
    """The client went away (or sent less than it declared) before its body ended."""


class Waits:
    """Waits for bytes of clients: for at most `most` bodies at once, for each `seconds`, and for longer only as it
    brings `slowest` bytes in each further one; never so long without any. `meanwhile` is entered around each wait."""

    def __init__(
        self,
        most: int,
        seconds: float = 60.0,
        slowest: int = 64 * 1024,
        meanwhile: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._places = threading.BoundedSemaphore(most)
        self._seconds = seconds
        self._slowest = slowest
        self._meanwhile = meanwhile

    def patience(self, read: int) -> float:
        """Seconds that may pass with the first `read` bytes of a body and the wait for the next."""
        return self._seconds + read / self._slowest

    def await_bytes(self, inbound: Inbound, seconds: float) -> None:
        """Raises ServiceError when they do not come, or when too many others wait."""
        if inbound.comes(min(seconds, _ON_ITS_WAY)):
            return
        if not self._places.acquire(blocking=False):
            raise ServiceError("SlowDown", "Please reduce your request rate.", 503)
        try:
            with self._meanwhile():
                came = inbound.comes(min(seconds, self._seconds))
            if not came:
                raise ServiceError("RequestTimeout", "The request's body did not come in time.", 400)
        finally:
            self._places.release()


class FrameBody:
    """A request's body, read from the connection (by `inbound`) when it is asked for. `length` is what the client
    declared, `lands` whether the edge can write it to a file (`land`, see `clary.wire.messages.LandingBody`).

    The first read of a body that the client holds back (`expect`) sends CONTINUE. Raises ClientGone when the edge
    reports that the rest will not come, or the edge itself is lost (then `broken` is set). It is waited for as
    `strangers` says until `sender_known`, and from then on as `known` says: reading may raise ServiceError.
    """

    def __init__(
        self,
        connection: socket.socket,
        inbound: Inbound,
        length: int | None,
        expect: bool,
        lands: bool = False,
        strangers: Waits | None = None,
        known: Waits | None = None,
    ) -> None:
        self.length = length
        self._connection = connection
        self._inbound = inbound
        self._held_back = expect
        self._lands = lands
        self._landing = False
        self._piece = b""
        self._at = 0  # how much of it has been read
        self._read = 0  # bytes, of the whole
        self._file = -1  # where they all are put, if anywhere
        self._landed = 0  # bytes that the edge has put there and nobody has read; never beside a piece
        self._untold = 0  # of which the edge does not know that they were read
        self._ended = False
        self._gone = False
        self._waits = strangers
        self._known = known
        self._begun = 0.0  # on the monotonic clock: the first wait for him
        self.broken = False

    def read(self, size: int = -1, /) -> bytes:
        if size >= 0:
            return self._some(size)
        pieces = []
        while piece := self._some(PIECE):
            pieces.append(piece)
        return b"".join(pieces)

    def land(self, path: str, descriptor: int) -> bool:
        if not self._lands or self._ended or self.length is None or self.length - self._read < _LANDS_FROM:
            return False
        self._lands, self._landing, self._file = False, True, descriptor
        self._put(self._piece[self._at :])
        self._connection.sendall(pack_json(Frame.INTO, {"path": path, "ahead": _AHEAD}))
        return True

    def sender_known(self) -> None:
        self._waits, self._begun = self._known, 0.0

    def _some(self, size: int) -> bytes:
        if not (self._piece or self._landed or self._ended) and size:
            if self._held_back:
                self._held_back = False
                self._connection.sendall(pack(Frame.CONTINUE))
            if self._waits is not None:
                self._wait(self._waits)
            self._next()
        if self._gone:
            raise ClientGone("the client went away in the middle of its request")
        if self._landed:
            piece = self._from_file(size)
        else:
            piece = self._piece[self._at : self._at + size]  # no copy when it is all of it
            self._at += len(piece)
            if self._at == len(self._piece):
                self._piece, self._at = b"", 0
        self._read += len(piece)
        return piece

    def _wait(self, waits: Waits) -> None:
        now = time.monotonic()
        self._begun = self._begun or now
        waits.await_bytes(self._inbound, max(0.0, self._begun + waits.patience(self._read) - now))

    def _from_file(self, size: int) -> bytes:
        piece = os.pread(self._file, min(size, self._landed), self._read)
        if not piece and size:
            raise OSError(errno.EIO, "a file ends before what was written to it")
        self._landed -= len(piece)
        self._untold += len(piece)
        if self._untold >= _TELL:
            self._connection.sendall(pack(Frame.READ, COUNT.pack(self._untold)))
            self._untold = 0
        return piece

    def _put(self, data: bytes) -> None:
        """Into the file, behind what has been read."""
        view, at = memoryview(data), self._read
        while view:
            count = os.pwrite(self._file, view, at)
            view, at = view[count:], at + count

    def _next(self) -> None:
        """Waits for more, or the end."""
        while not (self._piece or self._landed or self._ended):
            kind, payload = self._receive()
            if kind is Frame.WROTE:
                self._landed = COUNT.unpack(payload)[0]
                continue
            self._piece = payload
            self._ended = kind is not Frame.DATA
            self._gone = kind is Frame.ABORT
            if self._file >= 0 and payload:
                self._put(payload)

    def _receive(self) -> tuple[Frame, bytes]:
        try:
            frame = self._inbound.receive()
        except (OSError, ValueError) as error:
            _LOG.info("an edge's connection broke in the middle of a body: %s", error)
            frame = None
        if frame is None or not self._is_expected(*frame):
            self.broken = True
            return Frame.ABORT, b""
        return frame

    def _is_expected(self, kind: Frame, payload: bytes) -> bool:
        if kind is Frame.WROTE:
            return self._landing and len(payload) == COUNT.size
        return kind in (Frame.DATA, Frame.END, Frame.ABORT)

    def finish(self) -> None:
        """Reads what the application left, up to END or ABORT, so that the connection can serve the next exchange."""
        self._held_back = False
        self._file = -1  # its owner may have closed it
        self._piece, self._at, self._landed = b"", 0, 0
        while not self._ended:
            self._next()
            self._piece, self._landed = b"", 0
