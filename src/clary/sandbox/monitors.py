"""Processes about a container, as /proc shows them: the engine itself while it makes one, and the monitor (conmon)
that it leaves beside each, which notes its end. The engine forgets them when it is killed. Standard library only."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from pathlib import Path

_ENGINE, _MONITOR = "podman", "conmon"
_EXITS, _CONTAINER = "--exit-dir", "-c"  # words that a monitor is given
_PATIENCE = 10.0  # seconds for a monitor to end after its container


def exit_note(monitor: int) -> Path | None:
    """Where this monitor will note the exit status of its container; the engine takes the note away once it has read
    it. None when there is no such monitor any more."""
    given = _arguments(monitor)
    try:
        return Path(given[given.index(_EXITS) + 1], given[given.index(_CONTAINER) + 1])
    except (ValueError, IndexError):
        return None


def has(monitor: int, process: int) -> bool:
    """Whether that is the process of the monitor's container, or was left to this process by the monitor's death: the
    number of one that has ended may be anybody's by now."""
    return _parent(process) in (monitor, os.getpid())


def end(container: str) -> None:
    """Whoever makes a container of this name, and whoever was begun for it: root's, since jobs can call themselves and
    theirs what they like."""
    named = {pid: given[0] for pid in _pids() if container in (given := _arguments(pid)) and _is_root_s(pid)}
    for pid in _called(named, _ENGINE):  # first: who makes it would go on
        _kill(pid)
    for monitor in _called(named, _MONITOR):
        for child in [pid for pid in _pids() if _parent(pid) == monitor]:
            _kill(child)
        _await_end(monitor)
        _kill(monitor)


def _called(named: dict[int, str], program: str) -> list[int]:
    return [pid for pid, path in named.items() if Path(path).name == program]


def _pids() -> list[int]:
    return [int(each.name) for each in os.scandir("/proc") if each.name.isdigit()]


def _arguments(pid: int) -> list[str]:
    """None of a process that has ended."""
    try:
        return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).split("\0")
    except OSError:
        return []


def _is_root_s(pid: int) -> bool:
    """Not by the owner of its folder, which is root for whoever forbids to be looked at."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return ["Uid:", *["0"] * 4] in [line.split() for line in lines]
    return False


def _parent(pid: int) -> int:
    """0 when it has ended."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _await_end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            select.select([handle], [], [], _PATIENCE)
        finally:
            os.close(handle)
