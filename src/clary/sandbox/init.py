"""The first process of a sandbox: starts the job, hands signals on, reaps, and reports to the agent.

It speaks over a socket that the agent made and that nobody else holds: one JSON object per datagram.

    init -> agent   {"ready": true, "sockets": n} (ancillary data: the sender's pid, n sockets that are handed out, and
                    the descriptors of its network where that is),
                    then {"exit": status} or {"error": text}
    agent -> init   b"term": SIGTERM to the job; b"kill": the end of everything; end of file: the agent is gone, the
                    same
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from clary.sandbox import syscalls


def tell(control: socket.socket, **message: Any) -> None:
    with contextlib.suppress(OSError):  # the agent is gone; what follows from that is the end anyway
        control.send(json.dumps(message).encode())


def run(
    control: socket.socket,
    main: Callable[[], int],
    sweep: Callable[[int], None],
    handed: Sequence[socket.socket] = (),
    network: Sequence[int] = (),
) -> NoReturn:
    """Starts `main` in a child of its own session and stays until it ended or the agent says so. `sweep` is given the
    job's pid at the end and has to end what is left of it (in a pid namespace the kernel does). `handed` and `network`
    go to the agent and to nobody else."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # Blocked, a stop that comes before the job is ready for one waits for it; ignored, it would be lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    # The job will have this id too: its hands must be off this memory before it takes its first step.
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
    _ready(control, handed, network)
    job = os.fork()
    if job == 0:
        _job(control, main)
    syscalls.name_process("init")
    status = _watch(control, job)
    sweep(job)
    tell(control, exit=status)
    os._exit(0)


def _ready(control: socket.socket, handed: Sequence[socket.socket], network: Sequence[int]) -> None:
    descriptors = [*(each.detach() for each in handed), *network]
    if not descriptors:
        tell(control, ready=True)
        return
    with contextlib.suppress(OSError):
        socket.send_fds(control, [json.dumps({"ready": True, "sockets": len(handed)}).encode()], descriptors)
    for each in descriptors:
        os.close(each)


def _job(control: socket.socket, main: Callable[[], int]) -> NoReturn:
    status = 1
    try:
        control.close()
        os.setsid()
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        status = main()
    finally:
        os._exit(status)


def _watch(control: socket.socket, job: int) -> int:
    """The job's status (128 + n for signal n)."""
    handle = os.pidfd_open(job)
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    poll.register(control, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll(1000)}
        if handle in ready:
            return _status(os.waitpid(job, 0)[1])
        if control.fileno() in ready:
            _obey(control, job, poll)
        _reap_others(job)


def _obey(control: socket.socket, job: int, poll: select.poll) -> None:
    try:
        order = control.recv(64)
    except OSError:
        order = b""
    if order == b"term":
        os.kill(job, signal.SIGTERM)
        return
    os.kill(job, signal.SIGKILL)
    poll.unregister(control)


def _reap_others(job: int) -> None:
    """Orphans of the job's tree end up here; the job itself is left to `_watch`."""
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if found is None or found.si_pid == job:
            return
        os.waitpid(found.si_pid, 0)


def _status(raw: int) -> int:
    code = os.waitstatus_to_exitcode(raw)
    return code if code >= 0 else 128 - code
