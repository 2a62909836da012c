"""One blob on its way from the other store: a stream that is taken up where it broke off."""

from __future__ import annotations

import contextlib
import errno
import logging
from collections.abc import Callable, Iterator
from typing import Any

from clary.objects.base import Lost, Unavailable
from clary.objects.blobs import size_of
from clary.objects.damage import Damaged
from clary.objects.remote.bucket import STREAM_ERRORS, Bucket

_PIECE = 512 * 1024
_BREAKS = 3  # in a row, without a byte between them
_LOG = logging.getLogger(__name__)


class RemoteReading:
    """The pieces of a blob. The first `next` asks for it, and raises Unavailable, or Damaged when there is less than
    should be; so does one in the middle, of a store that goes away. `done()` is called once, at the end or by
    `close`."""

    def __init__(self, bucket: Bucket, key: str, offset: int, length: int | None, done: Callable[[], None]) -> None:
        self._bucket = bucket
        self._key = key
        self._offset = offset
        self._left = length  # None before the store has said how many there are
        self._done: Callable[[], None] | None = done
        self._stream: Any = None
        self._breaks = 0

    @property
    def size(self) -> int:
        if self._left is None:
            self._open()
        return self._left or 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        while self._done is not None and self._left != 0:
            if self._stream is None:
                self._open()
                continue
            try:
                piece: bytes = self._stream.read(min(_PIECE, self._left or 0))
            except STREAM_ERRORS as error:
                _LOG.info("%s broke off: %s", self._key, error)
                piece = b""
            if piece:
                self._breaks = 0
                self._advance(len(piece))
                return piece
            self._break()
        self.close()
        raise StopIteration

    def _open(self) -> None:
        try:
            size, self._stream = self._bucket.get(self._key, self._offset, self._left)
        except FileNotFoundError as error:
            self.close()
            raise Lost(errno.EIO, f"the store of objects has lost {self._key}") from error
        except BaseException:
            self.close()  # now: the error that is raised may keep this object for long
            raise
        if self._left is not None and size < self._left:
            self.close()
            raise Damaged(f"the store has no more than {self._offset + size} bytes of it")
        if self._left is None:  # a file that was moved here has its checksums too
            self._left = max(0, size_of(self._key.rpartition("/")[2], self._offset + size) - self._offset)

    def _advance(self, count: int) -> None:
        self._offset += count
        self._left = (self._left or 0) - count

    def _break(self) -> None:
        self._drop()
        self._breaks += 1
        if self._breaks >= _BREAKS:
            self.close()
            raise Unavailable(f"{self._key} breaks off at {self._offset} again and again")

    def _drop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(*STREAM_ERRORS):
                stream.close()

    def close(self) -> None:
        """Ends the reading; a second call changes nothing."""
        self._drop()
        done, self._done = self._done, None
        if done is not None:
            done()

    def __del__(self) -> None:
        if getattr(self, "_done", None) is not None:
            self.close()
