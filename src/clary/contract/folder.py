"""The folder of one instance: what is in it, who holds it, and how files in it become durable. Standard library only.

`lock` is held by the instance's agent from before it runs until after it ended (an open-file-description lock: it goes
with the process however that dies, survives the launcher's fork, and others can ask who holds it without taking it).
`started` is written durably before user code may run: an instance with this mark is never run again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
from dataclasses import dataclass
from pathlib import Path

JOBS_SOCKET = "jobs.sock"
# struct flock of 64-bit Linux: l_type, l_whence, l_start, l_len, l_pid
_LOCK = struct.Struct("@hhqqi4x")


@dataclass(frozen=True, slots=True)
class InstanceFolder:
    """One instance's folder on its host, and where things are in it."""

    path: Path

    @property
    def spec(self) -> Path:
        """The InstanceSpec as JSON, 0600: it holds the agent's token."""
        return self.path / "spec.json"

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    @property
    def started(self) -> Path:
        return self.path / "started"

    @property
    def exit(self) -> Path:
        """The ExitRecord as JSON, once there is one."""
        return self.path / "exit.json"

    @property
    def spool(self) -> Path:
        """Messages for the control plane that it has not acknowledged."""
        return self.path / "spool"

    @property
    def base(self) -> Path:
        """What is `/opt/ml` inside."""
        return self.path / "ml"

    @property
    def root(self) -> Path:
        """An empty folder: the mount point of the private root."""
        return self.path / "root"

    @property
    def scratch(self) -> Path:
        """The agent's own temporary files (archives on their way out)."""
        return self.path / "scratch"

    @property
    def groups(self) -> Path:
        """The cgroup folders of the instance, one a line: what outlives an agent that was killed."""
        return self.path / "groups"

    @property
    def container(self) -> Path:
        """There for as long as there may be a container of the instance."""
        return self.path / "container"

    def has_started(self) -> bool:
        return self.started.exists()


def socket_folder(link: str, instance: str) -> Path:
    """The folder of an instance's model server socket: beside the agent link and not in the instance's folder, since a
    unix socket's path has at most 107 bytes."""
    return Path(link).parent / ("i-" + hashlib.sha256(instance.encode()).hexdigest()[:16])


def jobs_socket(link: str) -> Path:
    """Where the server's edges take what jobs send: beside the agent link."""
    return Path(link).parent / JOBS_SOCKET


def container_name(instance: str) -> str:
    """Of an instance's container, among all of the machine's container engine."""
    return f"clary-{instance}"


def write_durably(path: Path, text: str) -> None:
    """Whole or not at all, and still there after a power loss: temporary name, fsync, rename, fsync of the folder."""
    _write(path, text, mode=0o644, durable=True)
    _sync_folder(path.parent)


def write_whole(path: Path, text: str, mode: int = 0o644) -> None:
    """Whole or not at all for every reader. Not durable: for what nobody reads after a power loss, since no instance
    runs on after one (a sync costs milliseconds, and several stand before a job's first line)."""
    _write(path, text, mode, durable=False)


def _write(path: Path, text: str, mode: int, durable: bool) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def take(lock: Path) -> int | None:
    """Takes the lock and returns the descriptor that holds it; None when somebody else does."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def is_held(lock: Path) -> bool:
    """Whether some process holds the lock; asking does not disturb it."""
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # a wish for a write lock conflicts with any holder; on a read-only descriptor only the query is allowed
        asked = _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, asked)
    finally:
        os.close(descriptor)
    return bool(_LOCK.unpack(answer)[0] != fcntl.F_UNLCK)
