"""Where instances run: launch, observe, stop, discard. Only reconcilers call this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from clary.contract.instance import ExitRecord, InstanceSpec, Phase

State = Literal["starting", "running", "exited", "lost"]


@dataclass(frozen=True, slots=True)
class Observation:
    """What is known of an instance now. `address` is where its model server answers HTTP (a unix socket's path), once
    it is `healthy` (serving only). "lost": its agent is gone and left no exit record."""

    state: State
    phases: tuple[Phase, ...] = ()
    exit: ExitRecord | None = None
    address: str = ""
    healthy: bool = False


class Leaving(Exception):
    """The last process of an instance is about to end; it can be discarded then."""


class Compute(Protocol):
    """The contract (tests: clary.testing.compute_conformance).

    - `launch` is idempotent by `spec.id`: however often it is called, before and after a crash of the caller, the
      instance runs at most once. It returns as soon as the agent is on its way.
    - Instances outlive the server. `observe` of an id never launched, or discarded, says "lost".
    - `stop` asks: SIGTERM, the spec's grace, then SIGKILL to the whole tree; a second call changes nothing.
    - `discard` forgets an exited or lost instance and deletes its folder; unknown ids are fine. Raises Leaving while
      something of it is on its way out.
    """

    def launch(self, spec: InstanceSpec) -> None: ...

    def observe(self, instance: str) -> Observation: ...

    def stop(self, instance: str) -> None: ...

    def discard(self, instance: str) -> None: ...
