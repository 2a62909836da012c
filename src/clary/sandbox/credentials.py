"""Where SDKs look for a container's credentials: an address of the sandbox's own loopback, where the agent answers.

A socket belongs to the network namespace that it was made in, whoever holds it: made inside and handed out, it is
reached from this sandbox and from nowhere else, and nothing inside has to pass anything on.
"""

from __future__ import annotations

import socket

from clary.sandbox import syscalls

ADDRESS, PORT = "169.254.170.2", 80
_BACKLOG = 16


def listen() -> socket.socket:
    """A listening socket. Needs the powers over its network namespace that a job never has."""
    syscalls.add_loopback_address(ADDRESS)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind((ADDRESS, PORT))
    listener.listen(_BACKLOG)
    return listener
