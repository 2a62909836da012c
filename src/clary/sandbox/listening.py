"""The sockets that listen inside a sandbox for its agent: where SDKs look for credentials, where the server is.

A socket belongs to the network namespace that it was made in, whoever holds it: made inside and handed out, it is
reached from this sandbox and from nowhere else, and nothing inside has to pass anything on.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable

from clary.sandbox import syscalls

Address = tuple[str, int]
"""An IPv4 address and a port."""

_BACKLOG = 128
_LOOPBACK = "127."  # what the interface has from the beginning


def listen(addresses: Iterable[Address]) -> list[socket.socket]:
    """A listening socket for each. Needs the powers over its network namespace that a job never has."""
    return [_listen(*each) for each in addresses]


def _listen(host: str, port: int) -> socket.socket:
    if not host.startswith(_LOOPBACK):
        syscalls.add_loopback_address(host)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # The hosts of a job share a network: each listens, and whoever is still there is reached.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((host, port))
    listener.listen(_BACKLOG)
    return listener
