"""Sending to an endpoint over HTTP: one request, one answer, within a time; redirects are not followed."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

SECONDS = 15.0
_TOO_MANY = 429


class Failed(Exception):
    """It was not taken. `final`: asking again would change nothing."""

    def __init__(self, message: str, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


def post(url: str, body: bytes, headers: Mapping[str, str], seconds: float = SECONDS) -> None:
    """Raises Failed unless the answer is one of success. The certificate of https is checked against the machine's
    authorities. However slowly the other side speaks, it is over after `seconds` and a connection's establishment."""
    late = threading.Event()
    try:
        status = _answer(url, body, headers, seconds, late)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Failed(f"{type(error).__name__}: {error}") from error
    if late.is_set():  # what came so far may look like an answer
        raise Failed(f"it did not answer within {seconds:g} s")
    if not 200 <= status < 300:
        raise Failed(f"it answered {status}", final=300 <= status < 500 and status != _TOO_MANY)


def _answer(url: str, body: bytes, headers: Mapping[str, str], seconds: float, late: threading.Event) -> int:
    """The status. `late` is set when the connection was cut for its slowness."""
    parts = urlsplit(url)
    connection = _connection(parts, seconds)
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


def _connection(parts: SplitResult, seconds: float) -> http.client.HTTPConnection:
    """The port is always given: without one, the end of an IPv6 address would be taken for it."""
    host = parts.hostname or ""
    if parts.scheme == "https":
        trust = ssl.create_default_context()
        return http.client.HTTPSConnection(host, parts.port or 443, timeout=seconds, context=trust)
    return http.client.HTTPConnection(host, parts.port or 80, timeout=seconds)


def _cut(connection: http.client.HTTPConnection, late: threading.Event) -> None:
    """Ends whatever waits for the other side."""
    late.set()
    if connection.sock is not None:
        try:
            connection.sock.shutdown(socket.SHUT_RDWR)
        except OSError:  # it has ended by itself
            return
