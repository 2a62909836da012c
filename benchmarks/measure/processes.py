"""What processes cost: CPU time and memory of a process and all below it, read from /proc."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_TICK = 1 / os.sysconf("SC_CLK_TCK")  # seconds


def family(*roots: int) -> set[int]:
    """The processes `roots`, all their descendants, and what is left of those in a session that one of them leads:
    a sandbox is forked twice and has no parent."""
    ties = {int(each.name): _ties(each) for each in Path("/proc").iterdir() if each.name.isdigit()}
    found = set(roots) & ties.keys()
    while more := {pid for pid, above in ties.items() if above & found} - found:
        found |= more
    return found


def of_home(home: Path) -> dict[str, int]:
    """name -> pid of a Clary server's processes, from their pid files."""
    import json

    found = {}
    for each in (home / "run").glob("*.pid"):
        try:
            found[each.stem] = int(json.loads(each.read_text())["pid"])
        except (OSError, ValueError):  # it ends while we look
            continue
    return found


def began(pid: int) -> int | None:
    """When the process began, in ticks since the machine did; None when there is none (any more). A number given to
    another process since has another beginning."""
    try:
        return int(_after_name(Path("/proc", str(pid)))[19])
    except OSError:
        return None


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time that they have used so far; in steps of 10 ms, so measure over seconds."""
    return sum(_cpu(pid) for pid in pids)


def memory(pids: Iterable[int]) -> float:
    """MB (10^6 bytes), a page that several share counted once (proportional set size)."""
    return sum(_pss(pid) for pid in pids) / 1e6


def _ties(folder: Path) -> set[int]:
    """The parent and the leader of the session."""
    try:
        fields = _after_name(folder)
        return {int(fields[1]), int(fields[3])}
    except (OSError, IndexError):
        return set()


def _cpu(pid: int) -> float:
    try:
        fields = _after_name(Path("/proc", str(pid)))
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) * _TICK


def _pss(pid: int) -> float:
    try:
        lines = Path("/proc", str(pid), "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024


def _after_name(folder: Path) -> list[str]:
    """The fields of `stat` after the process's name, which may hold anything."""
    return (folder / "stat").read_text().rpartition(")")[2].split()
