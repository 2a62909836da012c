"""The last rung: a process group and a folder of its own, no new privileges. It isolates nothing else: the job sees the
host's files and network with the server's id, and finds its tree by SAGEMAKER_BASE_DIR. The agent says so in the
log."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from clary.sandbox import init, limits, syscalls
from clary.sandbox.confinement import Confinement


def shut_in(
    confinement: Confinement, control: socket.socket, main: Callable[[], int], network: Sequence[int]
) -> NoReturn:
    """Ends the calling process; `main` runs in a child of it. Raises OSError while nothing has run yet, and ValueError
    for a `network`: there are none but the machine's."""
    if network:
        raise ValueError("a plain process has no network to share")
    limits.join(confinement.cgroups)
    limits.set_resource_limits(confinement.data_limit, bound_processes=False)
    syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)  # orphans come here, so that they can be found and ended
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    os.setsid()
    os.chdir(confinement.base)
    first = os.getpid()

    def bound() -> int:
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != first:
            return 128 + signal.SIGKILL
        return main()

    init.run(control, bound, sweep=_end_tree)


def _end_tree(_job: int) -> None:
    """Ends every descendant: what is orphaned by one round becomes a child for the next."""
    while children := _children(os.getpid()):
        for each in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, 0)


def _children(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == parent:
                    found.append(int(entry.name))
    return found
