"""Connections to the store that keeps the objects' bytes, past the server."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

TIMEOUT = 60.0  # seconds without a byte
BROKEN = (http.client.HTTPException, OSError)


def ask(
    method: str, url: str, headers: Mapping[str, str], authorities: str, body: Iterator[bytes] | None = None
) -> http.client.HTTPResponse:
    """The answer, whatever its status; its body is still to be read. `authorities` is the file with the certificates by
    which the store is trusted, "" for the well-known ones. Raises BROKEN."""
    address = urlsplit(url)
    connection = connect(address.scheme, address.hostname or "", address.port, authorities)
    try:
        connection.request(method, f"{address.path}?{address.query}", body, dict(headers))
        return connection.getresponse()
    except BaseException:
        connection.close()
        raise


def connect(scheme: str, host: str, port: int | None, authorities: str) -> http.client.HTTPConnection:
    """The port is always said: without one, the end of an IPv6 address is taken for it."""
    if scheme != "https":
        return http.client.HTTPConnection(host, port or http.client.HTTP_PORT, timeout=TIMEOUT)
    import ssl  # which few agents need

    context = ssl.create_default_context(cafile=authorities or None)
    return http.client.HTTPSConnection(host, port or http.client.HTTPS_PORT, timeout=TIMEOUT, context=context)
