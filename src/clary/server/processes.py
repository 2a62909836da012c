"""Processes and their pid files: JSON {"pid", "start"}, where `start` (kernel ticks since boot) tells a process from a
later one that was given the same number."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clary.contract.processes import start_ticks


@dataclass(frozen=True, slots=True)
class Process:
    """A process of this machine. `facts` is all its pid file says."""

    pid: int
    start: int
    facts: dict[str, Any]

    def lives(self) -> bool:
        return start_ticks(self.pid) == self.start


def record(path: Path, pid: int, **facts: Any) -> None:
    """Writes a pid file, whole or not at all. A process that has ended already gets none."""
    start = start_ticks(pid)
    if start is None:
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps({"pid": pid, "start": start, **facts}))
    draft.replace(path)


def recorded(path: Path) -> Process | None:
    """The living process that a pid file names."""
    try:
        facts = json.loads(path.read_text())
        process = Process(int(facts["pid"]), int(facts["start"]), facts)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return process if process.lives() else None


def end(processes: Iterable[Process], grace: float) -> list[Process]:
    """SIGTERM to each, SIGKILL to those that are left after `grace` seconds. Returns those that had to be killed."""
    watched: dict[int, Process] = {}
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(process.pid)
            if not process.lives():  # asked after opening: from here on the descriptor means this very process
                os.close(descriptor)
                continue
            watched[descriptor] = process
            signal.pidfd_send_signal(descriptor, signal.SIGTERM)
    try:
        left = _await_end(set(watched), grace)
        for descriptor in left:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        _await_end(left, 5.0)
        return [watched[descriptor] for descriptor in left]
    finally:
        for descriptor in watched:
            os.close(descriptor)


def _await_end(descriptors: set[int], seconds: float) -> set[int]:
    """Those pidfds whose processes have not ended after `seconds`."""
    poll = select.poll()
    left = set(descriptors)
    for descriptor in left:
        poll.register(descriptor, select.POLLIN)
    deadline = time.monotonic() + seconds
    while left and (remaining := deadline - time.monotonic()) > 0:
        for descriptor, _ in poll.poll(remaining * 1000):
            poll.unregister(descriptor)
            left.discard(descriptor)
    return left
