"""The end of a job with several hosts: the first waits for the others, and collects what all have left."""

from __future__ import annotations

from clary.agent.context import Context
from clary.contract.folder import InstanceFolder, is_held
from clary.contract.instance import Cause, ExitRecord
from clary.contract.layout import Layout

_LOOK = 0.05  # seconds between two looks at the others


def leads(context: Context) -> bool:
    """Whether this host collects: the first does, and one that is alone."""
    return context.spec.host == context.spec.hosts[0]


def others_ended(context: Context) -> list[Cause]:
    """How each other host ended, once all have. Raises Unwanted when Clary goes down."""
    causes: list[Cause] = []
    for folder in _others(context):
        while (cause := _cause(folder)) is None:
            context.pause(_LOOK)
        causes.append(cause)
    return causes


def layouts(context: Context) -> list[Layout]:
    """The tree of this host, and behind it those of the others."""
    return [context.layout, *(Layout(each.base) for each in _others(context))]


def _others(context: Context) -> list[InstanceFolder]:
    spec, beside = context.spec, context.folder.path.parent
    return [InstanceFolder(beside / spec.peers[host]) for host in spec.hosts if host != spec.host]


def _cause(folder: InstanceFolder) -> Cause | None:
    alive = is_held(folder.lock)  # before: an agent leaves its record and then the lock
    if folder.exit.exists():
        return ExitRecord.from_json(folder.exit.read_text()).cause
    return None if alive else "lost"
