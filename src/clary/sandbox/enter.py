"""The way into a sandbox, for a process that was just forked and has one thread."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Sequence
from typing import NoReturn

from clary.sandbox import init, namespaces, plain
from clary.sandbox.confinement import Confinement

_RUNGS: dict[str, Callable[[Confinement, socket.socket, Callable[[], int], Sequence[int]], NoReturn]] = {
    "namespaces": namespaces.shut_in,
    "plain": plain.shut_in,
}


def enter(
    confinement: Confinement, control: socket.socket, main: Callable[[], int], network: Sequence[int] = ()
) -> NoReturn:
    """Shuts the calling process in as `confinement` says and runs `main` there; its result is the job's exit status.
    `network` are the descriptors of another sandbox's network, to be shared with it. Never returns. What goes wrong
    before `main` is told on `control` (see clary.sandbox.init for what is said there)."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.umask(0o022)
        _RUNGS[confinement.rung](confinement, control, main, network)
    except BaseException as error:
        init.tell(control, error=f"{type(error).__name__}: {error}")
    os._exit(1)
