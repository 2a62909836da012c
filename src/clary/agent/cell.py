"""One sandbox as the agent sees it: have it made by a fork server, let its job begin, order it about, learn its end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from clary.agent.failures import ClientFailure, InternalFailure
from clary.sandbox import Confinement

_TRIES = 5  # fork servers that may die before a sandbox is there
_ANSWER = 60.0  # seconds for a fork server to load its libraries and for a sandbox to be made
_LONGEST_REQUEST = 192 * 1024  # bytes: what clary.runner.forkserver takes in one message
_MOST_HANDED = 8  # descriptors
_CREDENTIALS, _DESCRIPTOR = struct.Struct("iII"), struct.Struct("i")
_ANCILLARY = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(_DESCRIPTOR.size * _MOST_HANDED)


@dataclass(frozen=True, slots=True)
class Request:
    """What a fork server is asked for (clary.runner.forkserver)."""

    entry: str
    confinement: Confinement
    environment: dict[str, str] = field(repr=False)

    def encode(self) -> bytes:
        confinement = json.loads(self.confinement.to_json())
        data = {"entry": self.entry, "confinement": confinement, "environment": self.environment}
        return json.dumps(data, separators=(",", ":")).encode()


class _Descriptor(Protocol):
    def fileno(self) -> int: ...


class Cell(Protocol):
    """`stdout`, `stderr` are the reading ends of the job's streams, which `streams_end` with it or are somebody else's
    too; `control` is readable when there is something to
    `hear`, after which `ended` and `status`, the job's exit status, may have changed. `handed` are the sockets that
    listen inside, as its confinement has them; `network` the descriptors of its network, where that is shared;
    `exceeded` says whether the kernel ended a process of it for memory, where the agent has made no group to ask.

    `release` lets the job begin; `terminate` is SIGTERM to it; `kill` the end of every process in it, and `destroy`
    where that does not help. `close` ends what still runs, and lets go of everything."""

    @property
    def control(self) -> _Descriptor: ...

    stdout: int
    stderr: int
    streams_end: bool
    status: int | None
    ended: bool
    exceeded: bool
    handed: tuple[socket.socket, ...]
    network: tuple[int, ...]

    def hear(self) -> None: ...

    def release(self) -> None: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...

    def destroy(self) -> None: ...

    def close(self) -> None: ...


class Preparing(Protocol):
    """A cell in the making, while the agent brings the inputs in. A context: what was not taken out of it is destroyed
    at its end."""

    def cell(self) -> Cell: ...

    def __enter__(self) -> Preparing: ...

    def __exit__(self, *_: object) -> None: ...


def let_go(sockets: Iterable[socket.socket]) -> None:
    """Whoever accepts at one is woken."""
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()


class SandboxCell:
    """A sandbox with an init (clary.sandbox.init), which speaks at `control`. The job waits at `gate`, a writing end,
    until `release`."""

    streams_end = True
    exceeded = False

    def __init__(self, control: socket.socket, stdout: int, stderr: int, gate: int) -> None:
        self.control = control
        self.stdout = stdout
        self.stderr = stderr
        self._gate = gate
        self.status: int | None = None
        self.ended = False
        self.handed: tuple[socket.socket, ...] = ()
        self.network: tuple[int, ...] = ()
        self._handle = -1

    def hear(self) -> None:
        """Reads what init said. At its end without a status the whole sandbox was killed."""
        message, pid, handed = _receive(self.control)
        if handed and message is not None:
            count = int(message["sockets"])
            self.handed = tuple(socket.socket(fileno=each) for each in handed[:count])
            self.network = handed[count:]
        if pid and self._handle < 0:
            with contextlib.suppress(ProcessLookupError):
                self._handle = os.pidfd_open(pid)
        if message is None:
            self.status = 128 + signal.SIGKILL if self.status is None else self.status
            self.ended = True
        elif "exit" in message:
            self.status = int(message["exit"])
            self.ended = True
        elif "error" in message:
            raise InternalFailure(f"The sandbox could not be made: {message['error']}")

    def release(self) -> None:
        """Lets the job begin. One that has ended already is not disturbed."""
        os.write(self._gate, b"!")
        self._shut_gate()

    def _shut_gate(self) -> None:
        gate, self._gate = self._gate, -1
        if gate >= 0:
            os.close(gate)

    def terminate(self) -> None:
        """SIGTERM to the job."""
        self._order(b"term")

    def kill(self) -> None:
        """The end of every process in it."""
        self._order(b"kill")

    def destroy(self) -> None:
        """As `kill`, where init itself does not answer: its death is the end of its namespace."""
        self._order(b"kill")
        if self._handle >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def _order(self, order: bytes) -> None:
        with contextlib.suppress(OSError):  # it has ended
            self.control.send(order)

    def close(self) -> None:
        """Ends what still runs, by closing the socket that init watches."""
        self.control.close()
        self._shut_gate()
        let_go(self.handed)
        for descriptor in (self.stdout, self.stderr, *self.network):
            os.close(descriptor)


class Preparation:
    """Of a sandbox: most of the time to a job's first line is the kernel's, for forks, cgroups and mounts.

    `near` is where the socket of its fork server is, should that run; fork_server() gives the socket of one that runs,
    after a question to the launcher (a new one when the last died); pause(seconds) waits and raises when the instance
    is not wanted any more. join() gives the descriptors of the network of another sandbox, once that is there; with it
    nothing is made before `cell`. Raises ClientFailure for an environment that is too large."""

    def __init__(
        self,
        request: Request,
        near: str,
        fork_server: Callable[[], str],
        pause: Callable[[float], None],
        join: Callable[[], Sequence[int]] | None = None,
    ) -> None:
        self._message = request.encode()
        if len(self._message) > _LONGEST_REQUEST:
            raise ClientFailure(
                f"The Environment takes {len(self._message)} bytes when it is handed to the job; at most "
                f"{_LONGEST_REQUEST} fit. Please give less, for example as a file in S3."
            )
        self._fork_server = fork_server
        self._pause = pause
        self._join = join
        self._asked = None
        if join is None:
            self._asked = _ask(self._message, near) or _ask(self._message, fork_server())

    def cell(self) -> SandboxCell:
        """The sandbox, once its init runs; the job in it waits to be released. Raises InternalFailure."""
        network = self._join() if self._join is not None else ()
        for attempt in range(_TRIES):
            asked = self._asked or _ask(self._message, self._fork_server(), network)
            self._asked = None
            if asked is not None and _is_made(asked):
                return asked
            self._pause(0.05 * 2**attempt)
        raise InternalFailure(
            "The fork server ends before it can start a job; its log is in Clary's logs folder (fork-*.log)."
        )

    def __enter__(self) -> Preparation:
        return self

    def __exit__(self, *_: object) -> None:
        asked, self._asked = self._asked, None
        if asked is not None:
            asked.close()


def _ask(message: bytes, path: str, network: Sequence[int] = ()) -> SandboxCell | None:
    """None when no fork server took the request."""
    control, inits = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    control.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    stdout, out = os.pipe()
    stderr, err = os.pipe()
    opening, gate = os.pipe()
    cell = SandboxCell(control, stdout, stderr, gate)
    try:
        with inits, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.connect(path)
            socket.send_fds(connection, [message], [inits.fileno(), out, err, opening, *network])
    except OSError:
        cell.close()
        return None
    finally:
        for descriptor in (out, err, opening):
            os.close(descriptor)
    return cell


def _is_made(cell: SandboxCell) -> bool:
    """Waits for init. False when the fork server died before anything ran: the control socket has no other end then."""
    cell.control.settimeout(_ANSWER)
    try:
        cell.hear()
    except TimeoutError:
        cell.close()
        raise InternalFailure(f"The fork server did not start the job within {_ANSWER:.0f} s.") from None
    except InternalFailure:
        cell.close()
        raise
    if cell.ended:
        cell.close()
        return False
    return True


def _receive(control: socket.socket) -> tuple[dict[str, Any] | None, int, tuple[int, ...]]:
    """One message (None at the end), its sender's pid (0 when it is not told), and the descriptors with it."""
    try:
        data, ancillary, _, _ = control.recvmsg(65536, _ANCILLARY, socket.MSG_CMSG_CLOEXEC)
    except ConnectionError:
        return None, 0, ()
    pid, handed = 0, tuple[int, ...]()
    for level, kind, value in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            pid = _CREDENTIALS.unpack(value[: _CREDENTIALS.size])[0]
        elif level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            whole = value[: len(value) - len(value) % _DESCRIPTOR.size]
            handed = tuple(each for (each,) in _DESCRIPTOR.iter_unpack(whole))
    return (json.loads(data) if data else None), pid, handed
