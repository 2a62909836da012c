"""A port for a part of the server: real sockets and HTTP in front of a function that answers requests."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from clary.wire.messages import Headers, Request, Response

Answer = Callable[[Request], Response]
_NO_BODY = (204, 304)


class SocketBody:
    """A request's body as it comes in; one that is cut short is no request."""

    def __init__(self, file: Any, length: int) -> None:
        self._file = file
        self._left = length
        self.length: int | None = length

    def read(self, size: int = -1, /) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        piece: bytes = self._file.read(wanted)
        self._left -= len(piece)
        if len(piece) < wanted:
            raise ConnectionAbortedError(f"the client left with {self._left} bytes of its body to come")
        return piece


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        try:
            self._serve_one()
        except ConnectionError:  # the client is gone: nobody is there to be told
            self.close_connection = True

    def _serve_one(self) -> None:
        headers = Headers(list(self.headers.items()))
        body = SocketBody(self.rfile, int(headers.get("content-length") or 0))
        response = cast(_Server, self.server).answer(Request(self.command, self.path, headers, body))
        while body.read(1 << 20):  # what was not read would be taken for the next request
            pass
        self._send(response)

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        named = {name.lower() for name, _ in response.headers}
        for name, value in response.headers:
            self.send_header(name, value)
        if "content-length" not in named and response.status not in _NO_BODY:
            response.body = response.body if isinstance(response.body, bytes) else b"".join(response.body)
            self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        for piece in [response.body] if isinstance(response.body, bytes) else response.body:
            self.wfile.write(piece)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_OPTIONS = _serve  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer


@contextmanager
def port(answer: Answer) -> Iterator[str]:
    """The URL where `answer` is asked."""
    server = _Server(answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
