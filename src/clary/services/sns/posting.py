"""Sending to an endpoint over HTTP: one request, one answer, within a time; redirects are not followed."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from clary.services.sns.addresses import Reach, Refused

SECONDS = 15.0
_ANYWHERE = Reach()
_TOO_MANY = 429


class Failed(Exception):
    """It was not taken. `final`: asking again would change nothing."""

    def __init__(self, message: str, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


def post(url: str, body: bytes, headers: Mapping[str, str], reach: Reach = _ANYWHERE, seconds: float = SECONDS) -> None:
    """Raises Failed unless the answer is one of success. The certificate of https is checked against the machine's
    authorities; only what `reach` lets is connected to. However slowly the other side speaks, it is over after
    `seconds` and a connection's establishment."""
    late = threading.Event()
    try:
        status = _answer(url, body, headers, reach, seconds, late)
    except Refused as error:
        raise Failed(str(error), final=True) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Failed(f"{type(error).__name__}: {error}") from error
    if late.is_set():  # what came so far may look like an answer
        raise Failed(f"it did not answer within {seconds:g} s")
    if not 200 <= status < 300:
        raise Failed(f"it answered {status}", final=300 <= status < 500 and status != _TOO_MANY)


def _answer(
    url: str, body: bytes, headers: Mapping[str, str], reach: Reach, seconds: float, late: threading.Event
) -> int:
    """The status. `late` is set when the connection was cut for its slowness."""
    parts = urlsplit(url)
    connection = _connection(parts, reach, seconds)
    watch = threading.Timer(seconds, _cut, (connection, late))
    watch.daemon = True
    try:
        connection.connect()
        watch.start()
        connection.request("POST", _target(parts), body, dict(headers))
        return connection.getresponse().status
    finally:
        watch.cancel()
        connection.close()


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _connection(parts: SplitResult, reach: Reach, seconds: float) -> http.client.HTTPConnection:
    """The port is always given: without one, the end of an IPv6 address would be taken for it."""
    host = parts.hostname or ""
    if parts.scheme == "https":
        return _Secured(host, parts.port or 443, reach, seconds)
    return _Plain(host, parts.port or 80, reach, seconds)


class _Plain(http.client.HTTPConnection):
    def __init__(self, host: str, port: int, reach: Reach, seconds: float) -> None:
        super().__init__(host, port, timeout=seconds)
        self._reach, self._seconds = reach, seconds

    def connect(self) -> None:
        self.sock = self._reach.connect(self.host, self.port, self._seconds)


class _Secured(_Plain):
    default_port = 443  # the header Host leaves it out

    def connect(self) -> None:
        super().connect()
        self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)


def _cut(connection: http.client.HTTPConnection, late: threading.Event) -> None:
    """Ends whatever waits for the other side."""
    late.set()
    if connection.sock is not None:
        try:
            connection.sock.shutdown(socket.SHUT_RDWR)
        except OSError:  # it has ended by itself
            return
