"""The programs of a server, as the supervisor starts them."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clary.config import Settings


@dataclass(frozen=True, slots=True)
class Program:
    """`name` names its pid file and its log; `descriptors` are inherited under the same numbers; `grace` seconds pass
    between asking it to end and ending it; `withheld` are variables of the environment that it does not get,
    `preset` those that it gets where they are not set."""

    name: str
    command: tuple[str, ...]
    descriptors: tuple[int, ...] = ()
    grace: float = 10.0
    withheld: tuple[str, ...] = ()
    preset: tuple[tuple[str, str], ...] = ()

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """What it sees of the variables `given`."""
        return dict(self.preset) | {name: value for name, value in given.items() if name not in self.withheld}


# Only the control plane opens the store and knows the root's keys; what runs nearer to jobs is not even told.
_SECRETS = (
    "CLARY_ROOT_ACCESS_KEY_ID",
    "CLARY_ROOT_SECRET_ACCESS_KEY",
    "CLARY_ROOT_KEY",
    "CLARY_ROOT_PASSPHRASE_FILE",
    "CLARY_DATABASE_URL",
    "CLARY_OBJECTS_ACCESS_KEY_ID",
    "CLARY_OBJECTS_SECRET_ACCESS_KEY",
    "CLARY_OBJECTS_CREDENTIALS_FILE",
)


# Each thread would have a heap of its own, and keep there what only one request in a while needs.
_ONE_HEAP = (("MALLOC_ARENA_MAX", "1"),)


def programs(listeners: Sequence[int], jobs: int) -> list[Program]:
    """The programs in the order in which they are stopped: edges finish what they serve while the control plane is
    still there. `listeners` are the listening sockets' descriptors, one for each edge; `jobs` is
    that of the socket which all of them share for jobs."""
    edges = [
        Program(
            f"edge-{number}",
            _module("clary.edge", "--fd", str(descriptor), "--jobs", str(jobs), "--name", f"edge-{number}"),
            (descriptor, jobs),
            withheld=_SECRETS,
        )
        for number, descriptor in enumerate(listeners)
    ]
    control = Program("control", _module("clary.app"), grace=20.0, preset=_ONE_HEAP)
    launcher = Program("launcher", _module("clary.agent.launcher"), grace=5.0, withheld=_SECRETS)
    return [*edges, control, launcher]


def _module(name: str, *arguments: str) -> tuple[str, ...]:
    # -P: never a module from the folder that Clary happened to be started in.
    return (sys.executable, "-P", "-m", name, *arguments)


def environment(settings: Settings, given: Mapping[str, str] | None = None) -> dict[str, str]:
    """What the programs see: the environment that was `given` (default: this process's) and every setting in it."""
    values = dict(os.environ if given is None else given)
    values.pop("PYTHONDONTWRITEBYTECODE", None)  # without byte code every start costs seconds
    for field in dataclasses.fields(settings):
        if (value := getattr(settings, field.name)) != "":
            values[f"CLARY_{field.name.upper()}"] = str(value)
        else:
            values.pop(f"CLARY_{field.name.upper()}", None)
    return values
