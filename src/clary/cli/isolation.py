"""How well jobs are shut in on this machine, in words."""

from __future__ import annotations

from dataclasses import dataclass

from clary.config import Settings
from clary.sandbox import Isolation, IsolationError, Rung, choose, probe

UNASKED = (
    "CLARY_ISOLATION=plain: jobs run as plain processes and can see this user's files and network, "
    "although this machine could do better."
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What this machine can do, and what the settings make of it; `refused` says why they cannot be met."""

    found: Isolation
    rung: Rung
    refused: str = ""


def chosen(settings: Settings) -> Chosen:
    """Tries a sandbox: some milliseconds, from a process with one thread."""
    found = probe()
    try:
        return Chosen(found, choose(settings.isolation, found))
    except IsolationError as error:
        return Chosen(found, found.rung, str(error))


def words(settings: Settings) -> str:
    """One line, or two where something is less than it could be."""
    here = chosen(settings)
    if here.refused:
        return f"isolation: {here.refused}"
    if here.rung != here.found.rung:
        return f"isolation: plain. {UNASKED}"
    first, *others = here.found.facts
    lines = [f"isolation: {here.rung}. {first.words}"]
    lacking = " ".join(fact.words for fact in others if not fact.holds)
    return "\n".join([*lines, f"  {lacking}"] if lacking else lines)
