"""Files on their way to clients: sent by the kernel where nothing has to be done to the bytes.

The work is done in threads, because the disk may have to be waited for. A thread goes on while the client takes what it
is sent; a client that is slow is waited for by the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
from collections.abc import Callable

from clary.edge.connection import STALL_SECONDS
from clary.edge.deadlines import NEVER
from clary.edge.exchange import Exchange

_PIECE = 256 * 1024  # what is read at once where the bytes have to go through the transport
_TURN = 64 * 1024 * 1024  # bytes after which another file may have the thread
_MOMENT = 5  # milliseconds for which a thread waits for a client

Done = Callable[[bool], None]


class FileSending:
    """Sends `length` bytes of an open file from `offset` on as part of a response's body, and closes the file.

    `done(whole)` is called in the end, not whole when the file or the client broke; it is not called after `stop`.
    `pause` and `resume` are those of a consumer."""

    def __init__(self, exchange: Exchange, descriptor: int, offset: int, length: int, done: Done) -> None:
        self._loop = asyncio.get_running_loop()
        self._exchange = exchange
        self._descriptor = descriptor
        self._offset = offset
        self._left = length
        self._done = done
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
        while sent < most:
            try:
                count = os.sendfile(client.fileno(), self._descriptor, self._offset + sent, most - sent)
            except BlockingIOError:
                if not self._poll.poll(_MOMENT):
                    break
                continue
            if not count:
                raise OSError("the file ends early")
            sent += count
        return sent

    def _read(self) -> bytes:
        data = os.pread(self._descriptor, min(self._left, _PIECE), self._offset)
        if not data:
            raise OSError("the file ends early")
        return data

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
        if not self._stopped and future.exception() is None:
            return False
        self._close()
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
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self._socket is not None:
            self._loop.remove_writer(self._socket)
            self._socket.close()
            self._socket = None
