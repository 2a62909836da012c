"""The socket of a model server, as whoever is outside the sandbox reaches it. Standard library only."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator


@contextlib.contextmanager
def reached(path: str | os.PathLike[str]) -> Iterator[str]:
    """A path to connect to while the context lasts: exactly the unix socket that is at `path`. The model server made it
    and may put anything in its place, and a link there must not lead to another socket of this user. Raises OSError."""
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            raise ConnectionRefusedError(f"{os.fspath(path)} is not a socket")
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
