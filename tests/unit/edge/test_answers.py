"""A model server's answer is the same in whatever pieces it comes; time limits end what is late and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import sys
import termios

import pytest

from clary.serving.model_connection import ModelConnection
from clary.serving.time_limits import TimeLimits

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nX-Own: secret\r\nContent-Length: 4\r\n\r\n1.5\n"
CHUNKED = (
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n"
    b"Content-Type: a/b\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
)
EMPTY = b"HTTP/1.1 204 No Content\r\nContent-Type: a/b\r\n\r\n"
LAST = b"HTTP/1.1 500 Bad\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"
OPEN = b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n\r\nup to the end"  # of the connection
CSV, AB = b"Content-Type: text/csv\r\n", b"Content-Type: a/b\r\n"


class Asker:
    """Waits for the one call that an asker gets."""

    def __init__(self) -> None:
        self.outcome: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    def model_answered(self, status: int, lines: bytes, body: bytes) -> None:
        self.outcome.set_result((status, lines, body))

    def model_oversized(self) -> None:
        self.outcome.set_result("oversized")

    def model_broke(self) -> None:
        self.outcome.set_result("broke")


async def taken(far: socket.socket) -> None:
    """Returns when the other side has read all that was sent."""
    while int.from_bytes(fcntl.ioctl(far, termios.TIOCOUTQ, bytes(4)), sys.byteorder):  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(0)


async def asked(pieces: list[bytes], limit: int, times: int = 1) -> tuple[object, bool]:
    """(what the asker was told the last time, whether the connection was given back each time)."""
    loop = asyncio.get_running_loop()
    near, far = socket.socketpair()
    near.setblocking(False)
    freed: list[ModelConnection] = []
    _, connection = await loop.create_connection(
        lambda: ModelConnection(limit, freed.append, lambda _: None), sock=near
    )
    with far:
        for _ in range(times):
            asker = Asker()
            connection.send(asker, b"POST / HTTP/1.1\r\n\r\n", b"")
            with contextlib.suppress(OSError):  # it may have heard enough
                for piece in pieces:
                    far.sendall(piece)
                    await taken(far)
                if not freed and not asker.outcome.done():
                    far.shutdown(socket.SHUT_WR)
            told = await asyncio.wait_for(asker.outcome, 10)
    connection.close()
    return told, len(freed) == times


@pytest.mark.parametrize(
    ("raw", "told", "kept"),
    [
        (PLAIN, (200, CSV, b"1.5\n"), True),
        (CHUNKED, (201, AB, b"abc"), True),
        (EMPTY, (204, AB, b""), True),
        (LAST, (500, b"", b"no"), False),
        (OPEN, (200, AB, b"up to the end"), False),
        (PLAIN[:-1], "broke", False),
        (PLAIN.replace(b"4", b"four"), "broke", False),
        (PLAIN.replace(b": 4", b": 11") + b"long en", "oversized", False),
        (CHUNKED.replace(b"2\r\nab", b"b\r\nabcdefghijk"), "oversized", False),
    ],
)
def test_an_answer_is_the_same_in_whatever_pieces_it_comes(raw: bytes, told: object, kept: bool) -> None:
    async def cut_anywhere() -> None:
        limit = 10 if told == "oversized" else 1000
        assert await asked([raw], limit) == (told, kept)
        assert await asked([raw[at : at + 1] for at in range(len(raw))], limit) == (told, kept)
        for at in range(1, len(raw), 7):
            assert await asked([raw[:at], raw[at:]], limit) == (told, kept)

    asyncio.run(cut_anywhere())


@pytest.mark.parametrize("raw", [PLAIN, CHUNKED])
def test_a_connection_serves_again(raw: bytes) -> None:
    async def again() -> None:
        for pieces in ([raw], [raw[:5], raw[5:]]):
            told, kept = await asked(pieces, 1000, times=3)
            assert kept
            assert isinstance(told, tuple)

    asyncio.run(again())


class Member:
    def __init__(self, told: list[str], name: str) -> None:
        self._told, self._name = told, name

    def expired(self) -> None:
        self._told.append(self._name)


def test_time_limits() -> None:
    async def late() -> list[str]:
        loop = asyncio.get_running_loop()
        told: list[str] = []
        done = asyncio.Event()
        limits, now = TimeLimits(loop), loop.time()
        ended = Member(told, "ended in time")
        limits.add(Member(told, "long"), now + 600)
        limits.add(Member(told, "second"), now + 0.06)
        limits.add(ended, now + 0.03)
        limits.add(Member(told, "first"), now + 0.03)
        limits.discard(ended)
        last = Member(told, "third")
        last.expired = done.set  # type: ignore[method-assign]
        limits.add(last, now + 0.09)
        await asyncio.wait_for(done.wait(), 10)
        return told

    assert asyncio.run(late()) == ["first", "second"]
