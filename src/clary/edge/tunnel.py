"""A tunnel: bytes to and fro between a client's transport and another host, with back-pressure and half-close."""

from __future__ import annotations

import asyncio
import contextlib
from typing import cast

_CONNECT_SECONDS = 30.0
_UNREACHABLE = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class _End(asyncio.Protocol):
    """One end; what comes in at it goes out at the other."""

    def __init__(self) -> None:
        self.other: asyncio.Transport | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        if self.other is None:
            self.transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            self.other.write(data)

    def eof_received(self) -> bool:
        if self.other is None or self.other.is_closing() or not self.other.can_write_eof():
            return False
        self.other.write_eof()
        return True

    def connection_lost(self, _: Exception | None) -> None:
        if self.other is not None:
            self.other.close()

    # The transport this end writes to belongs to the other one: it is that one's reading that has to wait.

    def pause_writing(self) -> None:
        if self.other is not None and not self.other.is_closing():
            self.other.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and not self.other.is_closing():
            self.other.resume_reading()


async def open_tunnel(
    loop: asyncio.AbstractEventLoop, client: asyncio.Transport, host: str, port: int, answer: bytes, first: bytes
) -> None:
    """Connects to the host, writes `answer` to the client and `first` to the host, then lets bytes flow.

    `client` has its reading paused. When the host cannot be reached the client is answered 502 and closed.
    """
    near = _End()
    near.transport = client
    client.set_protocol(near)
    far = _End()
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            await loop.create_connection(lambda: far, host, port)
    except (OSError, UnicodeError):  # a timeout is an OSError; a name that cannot be encoded is no host
        client.write(_UNREACHABLE)
        client.close()
        return
    assert far.transport is not None
    if client.is_closing():
        far.transport.abort()
        return
    near.other, far.other = far.transport, client
    if answer:
        client.write(answer)
    if first:
        far.transport.write(first)
    with contextlib.suppress(RuntimeError):  # already closing
        client.resume_reading()
        far.transport.resume_reading()
