"""The process that has a container made and, when its agent lets go of it or is gone, deleted."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

# It waits for its agent's end only when nobody makes the container any more. Where the one who made it was
# killed, more may be left than the engine knows of: the mark stays, and the server looks for it (clary.sandbox.engine).
# Its variables are named as none of a container's is that comes through it (clary.agent.container_words).
_SCRIPT = """
_status=0
if read -r _opened; then {make} </dev/null; _status=$?; fi
exec >/dev/null 2>&1
echo $_status >&0
while read -r _said; do :; done
for _each in 1 2 3 4 5; do
  if {remove}; then [ $_status -ge 128 ] || rm -f {mark}; exit; fi
  sleep $_each
done
"""
_LONGEST_REMOVAL = 60.0  # seconds
_LONGEST_WORD = 64  # bytes of an exit status


class Guard:
    """A small shell beside the agent. Once it is told to, it runs `make`, whose end is told at `fileno`; when the other
    end of that is closed, however, it runs `remove` until that succeeds, and deletes `mark`. Raises OSError."""

    def __init__(
        self,
        make: Sequence[str],
        remove: Sequence[str],
        mark: Path,
        environment: Mapping[str, str],
        streams: tuple[int, int] | None = None,
    ) -> None:
        """streams: standard output and standard error of `make`."""
        script = _SCRIPT.format(make=shlex.join(make), remove=shlex.join(remove), mark=shlex.quote(str(mark)))
        self._socket, theirs = socket.socketpair()
        out, err = streams or (subprocess.DEVNULL, subprocess.DEVNULL)
        with theirs:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", script],
                stdin=theirs.fileno(),
                stdout=out,
                stderr=err,
                cwd="/",
                env=dict(environment),
                start_new_session=True,
            )

    def fileno(self) -> int:
        return self._socket.fileno()

    def begin(self) -> None:
        """One that was killed is not disturbed."""
        with contextlib.suppress(BrokenPipeError):
            self._socket.send(b"!\n")

    def hear(self) -> int | None:
        """The exit status of `make`; None when this process was killed."""
        with contextlib.suppress(ConnectionError, ValueError):
            return int(self._socket.recv(_LONGEST_WORD))
        return None

    def kill(self) -> None:
        """And whoever makes the container."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def let_go(self) -> None:
        """Has the container deleted."""
        self._socket.close()

    def wait(self) -> None:
        """Until it has been; not for ever, since the server looks after what is left."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_LONGEST_REMOVAL)
