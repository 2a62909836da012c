"""Pid files: `run/<name>.pid`, JSON {"pid", "start"}; the start ticks tell a process from a later one of the same
number. Standard library only."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path


def start_ticks(pid: int) -> int | None:
    """When the process started, in the kernel's ticks; None when there is none (a zombie counts as none)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in ("Z", "X") else int(fields[19])


def write_pid_file(path: Path, pid: int) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps({"pid": pid, "start": start_ticks(pid)}))
    temporary.replace(path)


def running(path: Path) -> int | None:
    """The pid in the file, if that very process still runs."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        data = json.loads(path.read_text())
        pid = int(data["pid"])
        if start_ticks(pid) == data["start"] is not None:
            return pid
    return None
