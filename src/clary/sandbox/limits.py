"""Memory and processes of a sandbox: cgroups where they can be written, resource limits otherwise."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_MOST_PROCESSES = 4096
_LEAVING = 1.0  # seconds for ended processes to leave their group


@dataclass(frozen=True, slots=True)
class Group:
    """A cgroup of one instance. `limits_memory` and `limits_processes` say what it really bounds."""

    paths: tuple[str, ...]
    limits_memory: bool
    limits_processes: bool

    def was_out_of_memory(self) -> bool:
        """Whether the kernel ended a process of this group for memory."""
        return any(_out_of_memory_kills(Path(each)) > 0 for each in self.paths)

    def is_there(self) -> bool:
        """Whether it can still be asked."""
        return any(Path(each).exists() for each in self.paths)

    def remove(self) -> None:
        """Removes the folders, once the last process has left them (some milliseconds after its end)."""
        until = time.monotonic() + _LEAVING
        for each in self.paths:
            while not _removed(Path(each)) and time.monotonic() < until:
                time.sleep(0.002)


def make_group(name: str, memory: int) -> Group:
    """A cgroup below the caller's own, of `memory` bytes (0: no limit), for as many controllers as can be had."""
    folders: list[str] = []
    bounds = {"memory": False, "pids": False}
    for controller, folder in _groups("self"):
        made = _make(folder / f"clary-{name}", controller, memory)
        if made:
            folders.append(str(folder / f"clary-{name}"))
            for each in made:
                bounds[each] = True
    return Group(tuple(folders), bounds["memory"], bounds["pids"])


def memory_groups(process: int) -> Group:
    """The cgroups that bound the memory of a process, which somebody else has made; none when it has ended."""
    try:
        found = [str(folder) for controller, folder in _groups(str(process)) if controller in ("", "memory")]
    except OSError:
        found = []
    return Group(tuple(found), limits_memory=True, limits_processes=True)


def join(groups: Sequence[str]) -> None:
    """Moves the calling process, of one thread, into the groups. Where version 1 takes a thread by itself, the kernel
    need not wait until none of the machine's processes forks or ends: some 7 ms for each group."""
    for each in groups:
        threads = Path(each, "tasks")
        (threads if threads.exists() else Path(each, "cgroup.procs")).write_text("0")


def yield_cores(nice: int) -> None:
    """By `nice` steps: lets the server, and whoever else uses the machine, go first where cores are short; takes
    nothing where they are not. Where the kernel shares cores between sessions first, the caller's steps back whole."""
    if not nice:
        return
    os.nice(nice)
    with contextlib.suppress(OSError):  # no such sharing here, or no /proc
        Path("/proc/self/autogroup").write_text(str(nice))


def set_resource_limits(data_limit: int, bound_processes: bool) -> None:
    """No core files; a bound on processes where the id is the instance's own; `data_limit` bytes of writable memory for
    each process (0: none)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if bound_processes:
        _lower(resource.RLIMIT_NPROC, _MOST_PROCESSES)
    if data_limit:
        _lower(resource.RLIMIT_DATA, data_limit)


def _lower(which: int, value: int) -> None:
    hard = resource.getrlimit(which)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))


def _removed(folder: Path) -> bool:
    """False while there are processes in it."""
    try:
        folder.rmdir()
    except OSError as error:
        return error.errno != errno.EBUSY
    return True


def _groups(process: str) -> list[tuple[str, Path]]:
    """(controller, folder) of a process's cgroups; controller "" is version 2. Raises OSError."""
    found: list[tuple[str, Path]] = []
    own: dict[str, str] = {}
    for line in Path("/proc", process, "cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            own[controller] = path
    for mount in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = mount.partition(" - ")
        kind, _, options = right.split(" ", 2)
        root, folder = left.split(" ")[3:5]
        wanted = [""] if kind == "cgroup2" else options.split(",") if kind == "cgroup" else []
        useful = [each for each in wanted if each in ("", "memory", "pids") and each in own]
        found += [(each, Path(folder, os.path.relpath(own[each], root))) for each in useful]
    return found


def _make(folder: Path, controller: str, memory: int) -> list[str]:
    """Makes the group and sets what it can bound; nothing is left of it when it cannot bound anything."""
    settings: list[tuple[str, str, str]] = []
    if controller in ("", "memory") and memory:
        settings.append(("memory", "memory.max" if not controller else "memory.limit_in_bytes", str(memory)))
    if controller in ("", "pids"):
        settings.append(("pids", "pids.max", str(_MOST_PROCESSES)))
    done: list[str] = []
    try:
        folder.mkdir(exist_ok=True)
        for name, file, value in settings:
            if (folder / file).exists():
                (folder / file).write_text(value)
                done.append(name)
    except OSError:
        done = []
    if not done:
        with contextlib.suppress(OSError):
            folder.rmdir()
    return done


def _out_of_memory_kills(folder: Path) -> int:
    for file in ("memory.events", "memory.oom_control"):
        with contextlib.suppress(OSError, ValueError):
            for line in (folder / file).read_text().splitlines():
                name, _, value = line.partition(" ")
                if name == "oom_kill":
                    return int(value)
    return 0
