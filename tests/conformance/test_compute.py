"""The compute contract over every rung of the sandbox that this machine has, and over the fake that other tests use."""

from __future__ import annotations

import dataclasses
import os
import signal
from collections.abc import Iterator

import pytest

from agent_world import World, world
from clary.compute.base import Compute
from clary.contract.instance import Image, InstanceSpec
from clary.sandbox import probe
from clary.testing.compute_conformance import ComputeConformance
from clary.testing.fake_compute import FakeCompute

RUNGS = ["plain", *(["namespaces"] if probe().rung == "namespaces" else [])]


@pytest.fixture(scope="module", params=RUNGS)
def here(request: pytest.FixtureRequest) -> Iterator[World]:
    with world(request.param) as made:
        yield made


class TestLocalCompute(ComputeConformance):
    @pytest.fixture
    def compute(self, here: World) -> Compute:
        self.here = here
        return here.compute

    def completing(self) -> InstanceSpec:
        return self.here.spec("print('ran')")

    def failing(self) -> InstanceSpec:
        return self.here.spec("sys.exit(3)")

    def lasting(self) -> InstanceSpec:
        return self.here.spec("import time; print('ran', flush=True); time.sleep(600)")

    def runs(self, spec: InstanceSpec) -> int:
        return len(self.here.wait_line(spec.id, "ran")) - sum("isolated" in line for line in self.here.lines(spec.id))

    def lose(self, spec: InstanceSpec) -> None:
        self.here.wait_line(spec.id, "ran")
        pid = self.here.agent_pid(spec.id)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)


class TestFakeCompute(ComputeConformance):
    @pytest.fixture
    def compute(self) -> Compute:
        self.fake = FakeCompute(script=self._live)
        self.number = 0
        return self.fake

    def _live(self, fake: FakeCompute, spec: InstanceSpec) -> None:
        fake.phase(spec.id, "Training")
        if spec.job_name == "completing":
            fake.exit(spec.id)
        elif spec.job_name == "failing":
            fake.exit(spec.id, "failed", "AlgorithmError: , exit code: 3")
            seen = fake._seen[spec.id]
            assert seen.exit is not None
            fake._seen[spec.id] = dataclasses.replace(seen, exit=dataclasses.replace(seen.exit, exit_code=3))

    def _spec(self, name: str) -> InstanceSpec:
        self.number += 1
        empty = dict.fromkeys(
            ("job_arn", "account", "region", "role_arn", "token", "link", "log_group", "log_stream"), ""
        )
        image = Image("builtin", "", "", "")
        return InstanceSpec(id=f"{name}-{self.number}", purpose="training", image=image, job_name=name, **empty)

    def completing(self) -> InstanceSpec:
        return self._spec("completing")

    def failing(self) -> InstanceSpec:
        return self._spec("failing")

    def lasting(self) -> InstanceSpec:
        return self._spec("lasting")

    def runs(self, spec: InstanceSpec) -> int:
        return self.fake.runs[spec.id]

    def lose(self, spec: InstanceSpec) -> None:
        self.fake.lose(spec.id)
