"""The first rung: namespaces of its own, a private root, no capabilities, a system call filter.

    caller (a child of the fork server, one thread)
      └── init: pid 1 of a new pid namespace; builds the root, gives up every privilege
            └── the job

As root the mounts are made with the host's powers and the user namespace comes last, so that nothing inside can ever
undo them; id 0 inside is an unprivileged host id of the instance's own. An ordinary user needs the user namespace
first; id 0 inside is then that user. Unsharing comes after the fork: a process with threads cannot do it.

The hosts of one job share a network namespace. The first hands it out (an ordinary user's with the user namespace that
it belongs to, without which nobody may enter it), the others join it.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from clary.sandbox import init, limits, listening, root, seccomp, syscalls
from clary.sandbox.confinement import Confinement
from clary.sandbox.plan import plan

_BEFORE_FORK = syscalls.CLONE_NEWPID | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS | syscalls.CLONE_NEWCGROUP


_KINDS = (syscalls.CLONE_NEWUSER, syscalls.CLONE_NEWNET)


def shut_in(
    confinement: Confinement, control: socket.socket, main: Callable[[], int], network: Sequence[int]
) -> NoReturn:
    """Ends the calling process; `main` runs inside. Raises OSError while nothing has run yet."""
    privileged = os.geteuid() == 0
    limits.join(confinement.cgroups)
    _enter_network(privileged, network)
    syscalls.unshare(_BEFORE_FORK)
    shared = _open_network(privileged) if confinement.shares else ()
    ask, answer = socket.socketpair()
    first = os.fork()
    if first == 0:
        ask.close()
        if not privileged:
            answer.close()
        _first(confinement, control, main, answer if privileged else None, shared)
    control.close()
    answer.close()
    if privileged and ask.recv(1):
        _map_ids(str(first), confinement.identity, confinement.identity, one_group=False)
        ask.send(b"!")
    os._exit(0)


def _enter_network(privileged: bool, network: Sequence[int]) -> None:
    """A network namespace of its own, or the one behind these descriptors; of an ordinary user's, with its user
    namespace."""
    if network:
        for descriptor, kind in zip(network, _KINDS[-len(network) :], strict=True):
            syscalls.setns(descriptor, kind)
            os.close(descriptor)
        return
    if not privileged:
        uid, gid = os.geteuid(), os.getegid()
        syscalls.unshare(syscalls.CLONE_NEWUSER)
        _map_ids("self", uid, gid, one_group=True)
    syscalls.unshare(syscalls.CLONE_NEWNET)


def _open_network(privileged: bool) -> tuple[int, ...]:
    """What `_enter_network` takes, of the caller's."""
    names = ("net",) if privileged else ("user", "net")
    return tuple(os.open(f"/proc/self/ns/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in names)


def _first(
    confinement: Confinement,
    control: socket.socket,
    main: Callable[[], int],
    outside: socket.socket | None,
    shared: Sequence[int],
) -> NoReturn:
    try:
        syscalls.unshare(syscalls.CLONE_NEWNS)  # here: a pivot moves every process of a mount namespace
        syscalls.loopback_up()
        handed = listening.listen(confinement.listening)
        socket.sethostname(confinement.hostname)
        root.enter(confinement.root, plan(confinement))
        limits.set_resource_limits(confinement.data_limit, bound_processes=True)
        if outside is not None:
            _become_unprivileged(outside)
        give_up_privileges()
    except BaseException as error:
        init.tell(control, error=str(error))
        os._exit(1)
    init.run(control, main, sweep=lambda _job: None, handed=handed, network=shared)


def _become_unprivileged(outside: socket.socket) -> None:
    """Enters a user namespace whose id 0 a process outside maps to the instance's host id."""
    syscalls.unshare(syscalls.CLONE_NEWUSER)
    outside.send(b"?")
    if not outside.recv(1):
        raise PermissionError("the id map was not written")
    outside.close()
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def give_up_privileges() -> None:
    """The order matters: the bounding set while CAP_SETPCAP is there, the filter last."""
    with contextlib.suppress(PermissionError):  # an ordinary user outside a user namespace has none to drop
        syscalls.drop_bounding_set()
    syscalls.drop_capabilities()
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    if seccomp.offered():
        seccomp.install()


def _map_ids(process: str, uid: int, gid: int, one_group: bool) -> None:
    folder = Path("/proc", process)
    if one_group:
        (folder / "setgroups").write_text("deny")
    (folder / "uid_map").write_text(f"0 {uid} 1")
    (folder / "gid_map").write_text(f"0 {gid} 1")
