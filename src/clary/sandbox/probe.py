"""What this machine can isolate: found out by doing it, not by reading versions."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clary.sandbox import limits, seccomp
from clary.sandbox.confinement import Confinement, Rung
from clary.sandbox.enter import enter

_PATIENCE = 10.0  # seconds


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that a sandbox here does or does not do, in words for people."""

    name: str
    holds: bool
    words: str


@dataclass(frozen=True, slots=True)
class Isolation:
    """`rung` is the strongest way that works here; `reason` says why it is not a stronger one ("" when it is the
    strongest)."""

    rung: Rung
    reason: str
    facts: tuple[Fact, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


class IsolationError(Exception):
    """What was asked for cannot be had on this machine; the message says why and what to do."""


def probe() -> Isolation:
    """Tries a whole sandbox (some milliseconds; the caller has to have one thread or not mind a fork)."""
    found, reason = _try_namespaces()
    memory = _memory_fact()
    if found is None:
        words = f"Jobs run as plain processes: they can see this user's files and network ({reason})."
        return Isolation("plain", reason, (Fact("namespaces", False, words), memory))
    who = "an unprivileged id of each job's own" if os.geteuid() == 0 else "this user's id"
    return Isolation(
        "namespaces",
        "",
        (
            Fact("namespaces", True, f"Jobs have a private root, no network but to this server, and run as {who}."),
            _seccomp_fact(),
            _proc_fact(found["proc"]),
            memory,
        ),
    )


def choose(wanted: str, isolation: Isolation) -> Rung:
    """The rung for the setting "auto", "namespaces" or "plain". Raises IsolationError."""
    if wanted == "auto":
        return isolation.rung
    if wanted == "plain":
        return "plain"
    if wanted != "namespaces":
        raise IsolationError(f"CLARY_ISOLATION={wanted!r} is not one of auto, namespaces, plain.")
    if isolation.rung != "namespaces":
        raise IsolationError(
            f"CLARY_ISOLATION=namespaces, but this machine cannot make them: {isolation.reason}. "
            "Allow user namespaces, run Clary as root, or set CLARY_ISOLATION=auto."
        )
    return "namespaces"


def _try_namespaces() -> tuple[dict[str, bool] | None, str]:
    """What a job saw inside, or why none could run."""
    with tempfile.TemporaryDirectory(prefix="clary-probe-") as folder:
        base, root = Path(folder, "ml"), Path(folder, "root")
        base.mkdir()
        root.mkdir()
        shown = (sys.prefix, sys.base_prefix, os.path.realpath(sys.base_prefix))
        confinement = Confinement("namespaces", str(base), str(root), shown=shown, listening=(("169.254.170.2", 80),))
        answer = _run(confinement, lambda: 0 if Path("/proc/self").exists() else 2)
    if "exit" in answer:
        return {"proc": answer["exit"] == 0}, ""
    return None, str(answer.get("error", "the probe did not answer"))


def _run(confinement: Confinement, main: Callable[[], int]) -> dict[str, Any]:
    """Runs `main` in a sandbox and returns the last that its init said."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = os.fork()
    if child == 0:
        here.close()
        enter(confinement, there, main)
    there.close()
    last: dict[str, Any] = {}
    with here:
        while select.select([here], [], [], _PATIENCE)[0] and (said := here.recv(65536)):
            last = json.loads(said)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child, 0)
    return last


def _seccomp_fact() -> Fact:
    if seccomp.offered():
        return Fact("seccomp", True, "System calls that open kernel attack surface are filtered.")
    machine = os.uname().machine
    return Fact("seccomp", False, f"No system call filter is written for {machine}; everything else holds.")


def _proc_fact(there: bool) -> Fact:
    if there:
        return Fact("proc", True, "Jobs see a /proc of their own.")
    return Fact("proc", False, "The kernel refuses a new /proc here (usual inside containers); jobs run without one.")


def _memory_fact() -> Fact:
    group = limits.make_group(f"probe-{os.getpid()}", 1 << 30)
    group.remove()
    if group.limits_memory:
        return Fact("memory", True, "Memory limits are kept by cgroups, for a job as a whole.")
    return Fact("memory", False, "No cgroup can be written; memory is bounded for each process, not for a whole job.")
