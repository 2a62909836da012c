"""A model server's answers as the gateway reads them, both ends over a real socket."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clary.algorithms.serving import NO_HEADERS, Headers, Reply
from clary.modelserver.application import Application
from clary.modelserver.protocol import HttpConnection
from clary.serving.model_connection import ModelConnection


class Statuses:
    """A predictor whose answer has the status that it is asked for, and always a body."""

    inline_bytes = 1 << 10

    def invoke(self, body: bytes, content_type: str, accept: str, headers: Headers = NO_HEADERS) -> Reply:
        return Reply(b"said", "text/plain", int(body))


class Asked:
    def __init__(self) -> None:
        self.answer: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()

    def model_answered(self, status: int, lines: bytes, body: bytes) -> None:
        self.answer.set_result((status, body))

    def model_oversized(self) -> None:
        self.answer.set_exception(AssertionError("oversized"))

    def model_broke(self) -> None:
        self.answer.set_exception(AssertionError("broke"))


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_is_answered_and_the_connection_goes_on(tmp_path: Path, status: int) -> None:
    assert asyncio.run(_answers(tmp_path / "s", status, 200)) == [(status, b""), (200, b"said")]


async def _answers(path: Path, *statuses: int) -> list[tuple[int, bytes]]:
    loop, found = asyncio.get_running_loop(), []
    with ThreadPoolExecutor(1) as threads:
        application = Application(Statuses(), threads, 1 << 20, 1)
        server = await loop.create_unix_server(lambda: HttpConnection(application, set()), path)
        _, connection = await loop.create_unix_connection(
            lambda: ModelConnection(1 << 20, lambda _: None, lambda _: None), str(path)
        )
        for each in statuses:
            asked = Asked()
            connection.send(asked, b"POST /invocations HTTP/1.1\r\nContent-Length: 3\r\n\r\n", b"%d" % each)
            found.append(await asyncio.wait_for(asked.answer, 10))
        connection.close()
        server.close()
    return found
