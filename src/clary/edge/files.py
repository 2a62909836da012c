"""Blobs' files on their way to clients: sent by the kernel where nothing has to be done to the bytes but to see that
they are right, and that was seen just now or a moment ago (`clary.objects.blobs`).

The work is done in threads, because the disk may have to be waited for. A thread goes on while the client takes what it
is sent; a client that is slow is waited for by the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import select
import socket
from collections.abc import Callable
from typing import Any

from clary.edge.deadlines import NEVER, STALL_SECONDS
from clary.edge.exchange import Exchange
from clary.objects.blobs import BLOCK, BlobFile
from clary.objects.damage import Damaged, Damages
from clary.objects.seen import Seen

_TURN = 64 * 1024 * 1024  # bytes after which another file may have the thread
_MOMENT = 5  # milliseconds for which a thread waits for a client

log = logging.getLogger(__name__)

Done = Callable[[bool], None]
Called = Callable[[], None]


class Files:
    """What an edge sends files with: it remembers what it saw of them, and says which were `damaged`."""

    def __init__(self, damaged: Damages) -> None:
        self._damaged = damaged
        self._seen = Seen()

    def sending(self, exchange: Exchange, given: dict[str, Any], done: Done) -> FileSending:
        """Of the payload of a FILE frame. Raises OSError when the file cannot be opened."""
        path, offset, length = given["path"], given["offset"], given["length"]
        file = BlobFile(path, self._seen)
        if given["right"]:
            first, end = offset // BLOCK, (offset + length - 1) // BLOCK + 1
            self._seen.trust(file.name, tuple(given["right"]), first, end)
        return FileSending(exchange, file, offset, length, done, self._damaged)


class FileSending:
    """Sends `length` bytes of an open file from `offset` on as part of a response's body, and closes the file.

    `done(whole)` is called in the end, not whole when the file or the client broke; it is not called after `stop`.
    `damaged(blob, words)` is called when the file is not what was written. `pause` and `resume` are those of a
    consumer."""

    def __init__(
        self, exchange: Exchange, file: BlobFile, offset: int, length: int, done: Done, damaged: Damages
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._exchange = exchange
        self._file = file
        self._offset = offset
        self._left = length
        self._right = 0  # of these, how many may go
        self._done = done
        self._damaged = damaged
        self._socket: socket.socket | None = None
        self._poll = select.poll()
        self._idle = False  # begun, and no thread is at work
        self._paused = False
        self._stopped = False
        self._loop.call_soon(self._begin)  # by then the head has left, unless the client takes nothing

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        if self._socket is None and self._idle:
            self._turn()

    def stop(self) -> None:
        """Sends no more: the client is gone or about to be cut off."""
        if self._stopped:
            return
        self._stopped = True
        if self._idle:
            self._close()
        elif self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread

    def _begin(self) -> None:
        self._idle = True
        if self._stopped:
            self._close()
            return
        self._socket = self._exchange.second_socket()
        if self._socket is not None:
            self._poll.register(self._socket, select.POLLOUT)
        if self._socket is not None or not self._paused:
            self._turn()

    def _turn(self) -> None:
        self._idle = False
        if self._socket is None:
            self._loop.run_in_executor(None, self._read).add_done_callback(self._have_read)
        else:
            self._loop.run_in_executor(None, self._pour, self._socket).add_done_callback(self._have_poured)

    # In a thread.

    def _pour(self, client: socket.socket) -> int:
        """From the file's pages to the client's socket; how many bytes."""
        sent, most = 0, min(self._left, _TURN)
        self._right = 0  # a while may have gone by
        while sent < most:
            if not self._right:
                self._right = self._file.verify(self._offset + sent, most - sent)
            try:
                count = os.sendfile(client.fileno(), self._file.descriptor, self._offset + sent, self._right)
            except BlockingIOError:
                if not self._poll.poll(_MOMENT):
                    break
                continue
            if not count:
                raise Damaged("its file is cut off")
            sent += count
            self._right -= count
        return sent

    def _read(self) -> bytes:
        return self._file.read(self._offset, self._left)

    # Back on the loop.

    def _have_read(self, future: asyncio.Future[bytes]) -> None:
        if self._is_over(future):
            return
        data = future.result()
        self._exchange.write(data)
        self._advance(len(data))
        if self._left and not self._paused and not self._stopped:
            self._turn()

    def _have_poured(self, future: asyncio.Future[int]) -> None:
        if self._is_over(future):
            return
        sent = future.result()
        waits = sent < min(self._left, _TURN)
        self._exchange.passed(sent, self._loop.time() + STALL_SECONDS if waits else NEVER)
        self._advance(sent)
        if waits and self._socket is not None:
            self._loop.add_writer(self._socket, self._writable)
        elif self._left:
            self._turn()

    def _writable(self) -> None:
        if self._socket is not None:
            self._loop.remove_writer(self._socket)
            self._exchange.passed(0, NEVER)
            self._turn()

    def _is_over(self, future: asyncio.Future[bytes] | asyncio.Future[int]) -> bool:
        """True when there is nothing to go on with: it was stopped, or broke."""
        self._idle = True
        error = future.exception()
        if not self._stopped and error is None:
            return False
        self._close()
        if isinstance(error, Damaged):
            self._damaged(self._file.name, str(error))
        if not self._stopped:
            self._stopped = True
            self._done(False)
        return True

    def _advance(self, size: int) -> None:
        self._offset += size
        self._left -= size
        if not self._left:
            self._close()
            self._stopped = True
            self._done(True)

    def _close(self) -> None:
        self._file.close()
        if self._socket is not None:
            self._loop.remove_writer(self._socket)
            self._socket.close()
            self._socket = None


class FileSequence:
    """The files of one response, one after the other. `taken()` is called for each when it has been opened, or will not
    be: the control plane waits for that. `broken()` is called when one cannot be sent whole. `pause` and `resume` are
    those of a consumer."""

    def __init__(self, exchange: Exchange, files: Files, taken: Called, broken: Called) -> None:
        self._exchange = exchange
        self._files = files
        self._taken = taken
        self._broken = broken
        self._sending: FileSending | None = None
        self._following = b""  # the payload behind it
        self._last = False  # no other file comes after those that were opened
        self._ended = False  # nor does anything else

    def send(self, payload: bytes, wanted: bool) -> None:
        """Of a FILE frame, once what comes before it in the response is out; `wanted` when the client is there."""
        if self._sending is not None and wanted:
            self._following = payload
            return
        self._following = b""
        if wanted and self._exchange.started:
            self._open(json.loads(payload))
        self._taken()

    def end(self) -> bool:
        """Nothing comes after the files so far. True when they end the response; False when none is on its way, and the
        caller does."""
        self._ended = self._sending is not None
        return self._ended

    def ends_alone(self) -> bool:
        """Nobody says any more what comes. True when all of it is in our hands, so that the response ends well."""
        if self._last and self._sending is None:
            self._exchange.finish()
        self._ended = self._last
        return self._last

    def pause(self) -> None:
        if self._sending is not None:
            self._sending.pause()

    def resume(self) -> None:
        if self._sending is not None:
            self._sending.resume()

    def stop(self) -> None:
        """Sends no more."""
        self._last = False
        sending, self._sending = self._sending, None
        if sending is not None:
            sending.stop()

    def _open(self, given: dict[str, Any]) -> None:
        try:
            self._sending = self._files.sending(self._exchange, given, self._sent)
            self._last = given["last"]
        except OSError as error:
            log.error("%s cannot be read: %s", given["path"], error)  # noqa: TRY400 - the trace says no more
            self._broken()

    def _sent(self, whole: bool) -> None:
        self._sending = None
        if not whole:
            self._broken()
        elif self._following:
            self.send(self._following, True)
        elif self._ended:
            self._exchange.finish()
