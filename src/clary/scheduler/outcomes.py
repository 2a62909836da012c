"""What a reconcile says about when to look again."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is left to do; a later change wakes the loop anyway."""


@dataclass(frozen=True, slots=True)
class AgainIn:
    """Look again after `seconds`, or earlier when something changes."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """In the queue named `what`, first come first served: while its first record waits, the others need no look, unless
    they asked for one after `seconds`."""

    what: str
    seconds: float = math.inf


Outcome = Done | AgainIn | Waiting
