"""Request bodies on their way to files: what a client sends goes from its socket to the disk in a thread of its own.

The thread goes on while the client sends; a client that is slow and a reader that is behind are waited for by the loop.
The last byte of a body comes through the transport, as all bodies do: its end is noticed where every end is.
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
import socket
from collections.abc import Callable

from clary.edge.deadlines import BODY_SECONDS, NEVER
from clary.edge.exchange import Exchange

_PIECE = 256 * 1024
_TURN = 4 * 1024 * 1024  # bytes after which the reader hears of them
_MOMENT = 5  # milliseconds for which a thread waits for a client

log = logging.getLogger(__name__)

Wrote = Callable[[int], None]
Done = Callable[[bytes], None]


class FileLanding:
    """Writes what comes of a request's body over `client` (its `body_socket`) into an open file, each byte at its place
    in the body, at most `ahead` bytes before `more` allows others. It closes both in the end.

    `wrote(count)` tells of bytes that are in the file. `done(rest)` is called when the next bytes are to come through
    the transport again, because nearly all are here, the client is gone or the file cannot be written; `rest` are bytes
    that were received and are not in the file. Neither is called after `stop`."""

    def __init__(
        self, exchange: Exchange, client: socket.socket, file: int, ahead: int, wrote: Wrote, done: Done
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._exchange = exchange
        self._client = client
        self._file = file
        self._wrote = wrote
        self._done = done
        self._at, end = exchange.body_span()
        self._left = end - self._at - 1
        self._ahead = ahead
        self._room = bytearray(_PIECE)
        self._rest = b""
        self._over = False  # the client sends no more, or the file takes no more
        self._stopped = False
        self._idle = False  # no thread is at work
        self._resting = False  # until `more` is called
        self._poll = select.poll()
        self._poll.register(client, select.POLLIN)
        exchange.pause_body()
        self._turn()

    def more(self, count: int) -> None:
        self._ahead += count
        if self._resting:
            self._turn()

    def stop(self) -> None:
        """The thread may receive a few bytes more, which nobody gets: the connection can serve no other request."""
        self._stopped = True
        if self._idle:
            self._close()

    def _turn(self) -> None:
        self._idle = self._resting = False
        self._exchange.body_passed(0, NEVER)
        self._loop.run_in_executor(None, self._pour).add_done_callback(self._have_poured)

    # In a thread.

    def _pour(self) -> int:
        """From the client's socket into the file; how many bytes."""
        begin, most = self._at, min(self._left, self._ahead, _TURN)
        while self._at - begin < most and not self._over and not self._stopped:
            try:
                count = self._client.recv_into(self._room, min(_PIECE, most - self._at + begin))
            except BlockingIOError:
                if not self._poll.poll(_MOMENT):
                    break
            except OSError:
                self._over = True  # the transport finds out why
            else:
                self._over = not count
                self._put(memoryview(self._room)[:count])
        return self._at - begin

    def _put(self, data: memoryview) -> None:
        while data:
            try:
                count = os.pwrite(self._file, data, self._at)
            except OSError as error:  # the reader meets it too
                log.warning("a request's body could not be written to its file: %s", error)
                self._rest, self._over = bytes(data), True
                return
            data, self._at = data[count:], self._at + count

    # Back on the loop.

    def _have_poured(self, future: asyncio.Future[int]) -> None:
        self._idle = True
        if self._stopped:
            self._close()
            return
        count = future.result()
        waits = count < min(self._left, self._ahead, _TURN)
        self._left -= count
        self._ahead -= count
        self._exchange.body_passed(count + len(self._rest), NEVER)
        if count:
            self._wrote(count)
        if self._over or not self._left:
            self._close()
            self._done(self._rest)
        elif waits:
            self._exchange.body_passed(0, self._loop.time() + BODY_SECONDS)
            self._loop.add_reader(self._client, self._readable)
        elif self._ahead:
            self._turn()
        else:
            self._resting = True

    def _readable(self) -> None:
        self._loop.remove_reader(self._client)
        self._turn()

    def _close(self) -> None:
        self._idle = self._resting = False
        self._loop.remove_reader(self._client)
        self._client.close()
        os.close(self._file)
