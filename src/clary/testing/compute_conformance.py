"""What every `Compute` does. A test class inherits `ComputeConformance` and gives the fixture `compute` and the
functions below, which say what an instance of this backend does."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from clary.compute.base import Compute, Observation
from clary.contract.instance import InstanceSpec

_PATIENCE = 30.0  # seconds


class ComputeConformance:
    """What every compute backend must do; a subclass says how to make instances."""

    def completing(self) -> InstanceSpec:
        """A new instance that ends by itself with status 0."""
        raise NotImplementedError

    def failing(self) -> InstanceSpec:
        """A new instance that ends by itself with status 3."""
        raise NotImplementedError

    def lasting(self) -> InstanceSpec:
        """A new instance that runs until it is stopped."""
        raise NotImplementedError

    def runs(self, spec: InstanceSpec) -> int:
        """How often that instance really ran."""
        raise NotImplementedError

    def lose(self, spec: InstanceSpec) -> None:
        """Ends the instance's agent so that it leaves no exit record."""
        raise NotImplementedError

    def until(self, compute: Compute, instance: str, done: Callable[[Observation], bool]) -> Observation:
        end = time.monotonic() + _PATIENCE
        while not done(seen := compute.observe(instance)):
            assert time.monotonic() < end, seen
            time.sleep(0.01)
        return seen

    def ended(self, compute: Compute, instance: str) -> Observation:
        return self.until(compute, instance, lambda seen: seen.state in ("exited", "lost"))

    def test_an_instance_that_was_never_launched_is_lost(self, compute: Compute) -> None:
        assert compute.observe("never").state == "lost"
        compute.stop("never")
        compute.discard("never")

    def test_it_runs_and_leaves_an_exit_record(self, compute: Compute) -> None:
        spec = self.completing()
        compute.launch(spec)
        seen = self.ended(compute, spec.id)
        assert seen.state == "exited"
        assert seen.exit is not None
        assert (seen.exit.cause, seen.exit.exit_code, seen.exit.failure) == ("completed", 0, "")
        assert seen.exit.started <= seen.exit.ended
        assert compute.observe(spec.id) == seen

    def test_a_failure_is_a_record_too(self, compute: Compute) -> None:
        spec = self.failing()
        compute.launch(spec)
        record = self.ended(compute, spec.id).exit
        assert record is not None
        assert (record.cause, record.exit_code) == ("failed", 3)
        assert record.failure.startswith("AlgorithmError:")

    def test_launching_again_runs_nothing_again(self, compute: Compute) -> None:
        spec = self.completing()
        compute.launch(spec)
        compute.launch(spec)
        self.ended(compute, spec.id)
        compute.launch(spec)
        assert compute.observe(spec.id).state == "exited"
        assert self.runs(spec) == 1

    def test_a_stop_ends_it_and_a_second_changes_nothing(self, compute: Compute) -> None:
        spec = self.lasting()
        compute.launch(spec)
        self.until(compute, spec.id, lambda seen: seen.state == "running")
        compute.stop(spec.id)
        compute.stop(spec.id)
        seen = self.ended(compute, spec.id)
        assert seen.exit is not None
        assert seen.exit.cause == "stopped"
        compute.stop(spec.id)
        assert compute.observe(spec.id) == seen

    def test_a_stop_right_after_the_launch_is_not_forgotten(self, compute: Compute) -> None:
        spec = self.lasting()
        compute.launch(spec)
        compute.stop(spec.id)
        record = self.ended(compute, spec.id).exit
        assert record is not None
        assert record.cause == "stopped"

    def test_a_lost_instance_stays_lost(self, compute: Compute) -> None:
        spec = self.lasting()
        compute.launch(spec)
        self.until(compute, spec.id, lambda seen: seen.state == "running")
        self.lose(spec)
        self.until(compute, spec.id, lambda seen: seen.state == "lost")
        compute.launch(spec)
        assert self.ended(compute, spec.id).state == "lost"
        assert self.runs(spec) == 1

    def test_discarding_forgets(self, compute: Compute) -> None:
        spec = self.completing()
        compute.launch(spec)
        self.ended(compute, spec.id)
        compute.discard(spec.id)
        assert compute.observe(spec.id) == Observation("lost")
        compute.discard(spec.id)

    def test_a_living_instance_is_not_discarded(self, compute: Compute) -> None:
        spec = self.lasting()
        compute.launch(spec)
        with pytest.raises(RuntimeError, match="alive"):
            compute.discard(spec.id)
        compute.stop(spec.id)
        self.ended(compute, spec.id)
