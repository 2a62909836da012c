"""Which waiting job may start: first come, first served, by job slots and memory.

Cores are shared by weight and never reserved, and endpoints hold no slot, so a job waits only for other jobs. A job
that is alone always starts, however large its instance type says it is.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

QUEUE = "job-slot"
MOST_COUNTED = 100  # jobs that came first: to count them all would take the longer, the longer the queue is

_ALONE, _LAST = 10, 19  # nice values: of a job with a core of its own, and the kernel's last
_STEP = 1.25  # by which each nice value weighs less than the one before


def behind(ahead: int) -> str:
    """In words; `ahead` is MOST_COUNTED when there are more."""
    return f"Waiting for {ahead}{' or more' if ahead >= MOST_COUNTED else ''} training job(s) that came first"


@dataclass(frozen=True, slots=True)
class Machine:
    """`memory` in bytes."""

    cores: int
    memory: int

    @classmethod
    def this(cls) -> Machine:
        return cls(len(os.sched_getaffinity(0)), os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


@dataclass(frozen=True, slots=True)
class Claim:
    """What one job asks for: `instances` of `memory` bytes each."""

    instances: int
    memory: int


@dataclass(frozen=True, slots=True)
class Capacity:
    """`slots` jobs at once."""

    slots: int
    memory: int

    @classmethod
    def of(cls, machine: Machine, job_slots: int) -> Capacity:
        """`job_slots` as in the settings: 0 means as many as there are cores, at least 2."""
        return cls(job_slots or max(2, machine.cores), machine.memory)

    def obstacle(self, claim: Claim, running: Sequence[Claim], ahead: int) -> str:
        """Why `claim` has to wait, with `ahead` older ones in the queue, in words for the status message; empty when it
        may start now."""
        if ahead:
            return behind(ahead)
        if len(running) >= self.slots:
            return f"Waiting for a free job slot: {len(running)} of {self.slots} are in use"
        used = sum(self._need(other) for other in running)
        if running and used + self._need(claim) > self.memory:
            return f"Waiting for memory: running jobs hold {used >> 20} MiB of {self.memory >> 20} MiB"
        return ""

    def _need(self, claim: Claim) -> int:
        """The lesser of what the type has and a slot's share: most jobs use far less than their type offers."""
        return claim.instances * min(claim.memory, self.memory // self.slots)


def niceness(machine: Machine, job_slots: int) -> int:
    """How far a job steps back for the API, for endpoints and for others on the machine. The more slots there are for a
    core, the farther: however many jobs run, together they weigh as much as one for each core would."""
    crowd = max(1.0, Capacity.of(machine, job_slots).slots / machine.cores)
    return min(_LAST, _ALONE + round(math.log(crowd, _STEP)))
