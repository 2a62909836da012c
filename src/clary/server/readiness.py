"""Whether a server answers: one plain HTTP request through its port."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

_REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_PATIENCE = 15.0  # an edge holds a request while the control plane starts, so one try usually does
_BETWEEN = 0.05


def await_answer(address: tuple[str, int], given_up: Callable[[], bool], seconds: float = float("inf")) -> bool:
    """Tries until the server answers with anything below 500. False when it was `given_up` or `seconds` passed."""
    deadline = time.monotonic() + seconds
    while not given_up() and time.monotonic() < deadline:
        if answers(address, min(_PATIENCE, max(0.01, deadline - time.monotonic()))):
            return True
        time.sleep(_BETWEEN)
    return False


def answers(address: tuple[str, int], patience: float = _PATIENCE) -> bool:
    try:
        with socket.create_connection(address, timeout=patience) as connection:
            connection.sendall(_REQUEST)
            line = connection.makefile("rb").readline(256).split()
        return len(line) > 1 and line[0].startswith(b"HTTP/1.") and line[1].isdigit() and int(line[1]) < 500
    except OSError:
        return False
