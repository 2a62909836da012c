"""Crashes on demand: the n-th effect of a run raises, before or after it happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.engine import Connection

from clary.compute.base import Observation
from clary.contract.instance import InstanceSpec
from clary.store.engine import Database
from clary.testing.fake_compute import FakeCompute

T = TypeVar("T")


class Crash(BaseException):
    """The process ends here. Not an Exception: nothing may catch it and carry on."""


class Fuse:
    """Blows at effect number `at` (from 0), `after` it or before; `effects` counts them."""

    def __init__(self, at: int = -1, after: bool = False) -> None:
        self.at, self.after, self.effects = at, after, 0

    def around(self, effect: Callable[[], T]) -> T:
        number, self.effects = self.effects, self.effects + 1
        if number == self.at and not self.after:
            raise Crash
        result = effect()
        if number == self.at:
            raise Crash
        return result


class FusedDatabase:
    def __init__(self, inner: Database, fuse: Fuse) -> None:
        self._inner, self._fuse = inner, fuse

    def read(self, work: Callable[[Connection], T]) -> T:
        return self._inner.read(work)

    def write(self, work: Callable[[Connection], T]) -> T:
        return self._fuse.around(lambda: self._inner.write(work))

    def close(self) -> None:
        self._inner.close()


class FusedCompute(FakeCompute):
    fuse: Fuse

    def launch(self, spec: InstanceSpec) -> None:
        self.fuse.around(lambda: FakeCompute.launch(self, spec))

    def stop(self, instance: str) -> None:
        self.fuse.around(lambda: FakeCompute.stop(self, instance))

    def discard(self, instance: str) -> None:
        self.fuse.around(lambda: FakeCompute.discard(self, instance))

    def observe(self, instance: str) -> Observation:
        return super().observe(instance)
