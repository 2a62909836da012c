"""What a reconcile says about when to look again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is left to do; a later change wakes the loop anyway."""


@dataclass(frozen=True, slots=True)
class AgainIn:
    """Look again after `seconds`, or earlier when something changes (a thing in a queue: once it is the first)."""

    seconds: float


Outcome = Done | AgainIn
