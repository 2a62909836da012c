"""Instances in memory that do what a test says. It honours the contract of clary.compute.base."""

from __future__ import annotations

import dataclasses
import threading
from collections import Counter
from collections.abc import Callable

from clary.compute.base import Observation
from clary.contract.instance import Cause, ExitRecord, InstanceSpec, Phase, PhaseName

Script = Callable[["FakeCompute", InstanceSpec], None]


class FakeCompute:
    """`script` is called once for every instance that starts, and may tell its whole life at once; without one, tests
    move instances with `phase`, `healthy`, `exit` and `lose`. A stopped instance ends as `on_stop` says, at once; with
    `on_stop` None it lives until the test ends it.

    `runs` counts how often each id really ran; `stops` which ids were asked to stop; `specs` are those launched, in
    order; `changed` is called after every move, as agents wake the loop.
    """

    def __init__(self, script: Script | None = None, on_stop: Cause | None = "stopped", now: float = 0.0) -> None:
        self.specs: list[InstanceSpec] = []
        self.runs: Counter[str] = Counter()
        self.stops: set[str] = set()
        self.discarded: set[str] = set()
        self.changed: Callable[[], None] = lambda: None
        self.now: Callable[[], float] = lambda: now
        self._script = script
        self._on_stop = on_stop
        self._seen: dict[str, Observation] = {}
        self._mutex = threading.RLock()

    def launch(self, spec: InstanceSpec) -> None:
        with self._mutex:
            if spec.id in self._seen:
                return
            self._seen[spec.id] = Observation("starting")
            self.specs.append(spec)
            self.runs[spec.id] += 1
        if self._script is not None:
            self._script(self, spec)

    def observe(self, instance: str) -> Observation:
        with self._mutex:
            return self._seen.get(instance, Observation("lost"))

    def stop(self, instance: str) -> None:
        with self._mutex:
            if not self._alive(instance):
                return
            self.stops.add(instance)
        if self._on_stop is not None:
            self.exit(instance, self._on_stop)

    def discard(self, instance: str) -> None:
        """Raises RuntimeError for an instance that is alive: no caller may do that."""
        with self._mutex:
            if self._alive(instance):
                raise RuntimeError(f"{instance} is alive")
            if self._seen.pop(instance, None) is not None:
                self.discarded.add(instance)

    def alive(self) -> list[str]:
        """The instances that were launched and have not ended."""
        with self._mutex:
            return [instance for instance in self._seen if self._alive(instance)]

    def phase(self, instance: str, name: PhaseName, message: str = "") -> None:
        seen = self._seen[instance]
        self._put(instance, state="running", phases=(*seen.phases, Phase(name, self.now(), message)))

    def healthy(self, instance: str, healthy: bool = True) -> None:
        self._put(instance, state="running", healthy=healthy, address=f"/instances/{instance}/model.sock")

    def exit(
        self,
        instance: str,
        cause: Cause = "completed",
        failure: str = "",
        model: str = "",
        metrics: dict[str, tuple[float, float]] | None = None,
    ) -> None:
        started = min((each.at for each in self._seen[instance].phases), default=self.now())
        code = 0 if cause == "completed" else 1
        record = ExitRecord(cause, code, failure, started, self.now(), model, metrics or {})
        self._put(instance, state="exited", exit=record, healthy=False, address="")

    def lose(self, instance: str) -> None:
        """The agent is gone and left no exit record."""
        self._put(instance, state="lost", healthy=False, address="")

    def _alive(self, instance: str) -> bool:
        seen = self._seen.get(instance)
        return seen is not None and seen.state in ("starting", "running")

    def _put(self, instance: str, **changes: object) -> None:
        with self._mutex:
            self._seen[instance] = dataclasses.replace(self._seen[instance], **changes)  # type: ignore[arg-type]
        self.changed()
