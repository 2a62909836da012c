"""Sending to an endpoint over HTTP: one request, one answer, within a time; redirects are not followed."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from urllib.parse import urlsplit

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
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = _connection(parts.scheme, parts.hostname or "", parts.port, seconds)
    late = threading.Event()
    watch = threading.Timer(seconds, _cut, (connection, late))
    watch.daemon = True
    try:
        connection.connect()
        watch.start()
        connection.request("POST", target, body, dict(headers))
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Failed(f"{type(error).__name__}: {error}") from error
    finally:
        watch.cancel()
        connection.close()
    if late.is_set():  # what came so far may look like an answer
        raise Failed(f"it did not answer within {seconds:g} s")
    if not 200 <= status < 300:
        raise Failed(f"it answered {status}", final=300 <= status < 500 and status != _TOO_MANY)


def _connection(scheme: str, host: str, port: int | None, seconds: float) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=seconds, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, port, timeout=seconds)


def _cut(connection: http.client.HTTPConnection, late: threading.Event) -> None:
    """Ends whatever waits for the other side."""
    late.set()
    if connection.sock is not None:
        try:
            connection.sock.shutdown(socket.SHUT_RDWR)
        except OSError:  # it has ended by itself
            return
