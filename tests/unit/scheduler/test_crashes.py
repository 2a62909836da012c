"""Whatever step the server is killed at, before or after its effect: it ends once, with the right result."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from clary.contract.instance import InstanceSpec
from clary.testing.fake_compute import FakeCompute
from sagemaker_bench import Bench

from .failpoints import Crash, Fuse, FusedCompute, FusedDatabase


def trains(compute: FakeCompute, spec: InstanceSpec) -> None:
    compute.phase(spec.id, "Training")
    compute.exit(spec.id, model=f"{spec.output}/model.tar.gz")


def serves(compute: FakeCompute, spec: InstanceSpec) -> None:
    compute.healthy(spec.id)


def fused(folder: Path, fuse: Fuse, compute: FusedCompute) -> Bench:
    compute.fuse = Fuse()
    bench = Bench(folder, compute=compute)
    stores = dataclasses.replace(bench.platform.stores, records=FusedDatabase(bench.records, fuse))
    object.__setattr__(bench.platform, "stores", stores)
    compute.fuse = fuse
    return bench


def run_to_rest(bench: Bench, fuse: Fuse) -> None:
    """Steps until nothing moves any more, through one crash."""
    quiet = 0
    while quiet < 3:
        before = fuse.effects
        try:
            bench.step()
        except Crash:
            fuse.at = -1
        quiet = quiet + 1 if fuse.effects == before else 0


def train_through(folder: Path, fuse: Fuse) -> None:
    compute = FusedCompute(script=trains)
    at, fuse.at = fuse.at, -1
    bench = fused(folder, fuse, compute)
    try:
        bench.train("job")
        fuse.effects, fuse.at = 0, at
        run_to_rest(bench, fuse)
        job = bench.job("job")
        assert job["TrainingJobStatus"] == "Completed"
        assert [entry["Status"] for entry in job["SecondaryStatusTransitions"]] == ["Starting", "Training", "Completed"]
        assert job["ModelArtifacts"] == {"S3ModelArtifacts": "s3://b/out/job/output/model.tar.gz"}
        assert fuse.at == -1, "the crash never came"
        assert list(compute.runs.values()) == [1]
        assert compute.discarded == set(compute.runs)
        assert bench.active() == []
    finally:
        bench.close()


def lose_through(folder: Path, fuse: Fuse) -> None:
    """A job whose first instance is lost, and which may begin anew."""

    def loses(compute: FakeCompute, spec: InstanceSpec) -> None:
        compute.phase(spec.id, "Training")
        if len(compute.specs) > 1:
            trains(compute, spec)
        else:
            compute.lose(spec.id)

    compute = FusedCompute(script=loses)
    at, fuse.at = fuse.at, -1
    bench = fused(folder, fuse, compute)
    try:
        bench.train("job", RetryStrategy={"MaximumRetryAttempts": 1})
        fuse.effects, fuse.at = 0, at
        run_to_rest(bench, fuse)
        assert bench.job("job")["TrainingJobStatus"] == "Completed"
        assert fuse.at == -1, "the crash never came"
        assert list(compute.runs.values()) == [1, 1] and compute.discarded == set(compute.runs)
        assert bench.active() == [] and compute.alive() == []
    finally:
        bench.close()


def serve_through(folder: Path, fuse: Fuse) -> None:
    """Creation, an update to another configuration, and deletion."""
    compute = FusedCompute(script=serves)
    at, fuse.at = fuse.at, -1
    bench = fused(folder, fuse, compute)
    try:
        bench.model(), bench.config(), bench.config("c2", count=2)
        bench.call("CreateEndpoint", EndpointName="e", EndpointConfigName="c")
        fuse.effects, fuse.at = 0, at
        run_to_rest(bench, fuse)
        assert bench.endpoint()["EndpointStatus"] == "InService"
        call(bench, fuse, "UpdateEndpoint", EndpointName="e", EndpointConfigName="c2")
        run_to_rest(bench, fuse)
        bench.clock.advance(6)
        run_to_rest(bench, fuse)
        endpoint = bench.endpoint()
        assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", "c2")
        assert len(compute.alive()) == 2
        call(bench, fuse, "DeleteEndpoint", EndpointName="e")
        run_to_rest(bench, fuse)
        assert fuse.at == -1, "the crash never came"
        assert bench.active() == [] and compute.alive() == []
        assert set(compute.runs.values()) == {1} and compute.discarded == set(compute.runs)
    finally:
        bench.close()


def stop_through(folder: Path, fuse: Fuse) -> None:
    """A job that is stopped while it runs."""
    compute = FusedCompute(script=lambda compute, spec: compute.phase(spec.id, "Training"))
    at, fuse.at = fuse.at, -1
    bench = fused(folder, fuse, compute)
    try:
        bench.train("job")
        fuse.effects, fuse.at = 0, at
        run_to_rest(bench, fuse)
        call(bench, fuse, "StopTrainingJob", TrainingJobName="job")
        run_to_rest(bench, fuse)
        job = bench.job("job")
        assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Stopped"
        assert fuse.at == -1, "the crash never came"
        assert list(compute.runs.values()) == [1] and compute.discarded == set(compute.runs)
        assert bench.active() == [] and compute.alive() == []
    finally:
        bench.close()


def call(bench: Bench, fuse: Fuse, operation: str, **given: str) -> None:
    """A client's call is no step of the reconciler: it does not count."""
    at, effects, fuse.at = fuse.at, fuse.effects, -1
    bench.call(operation, **given)
    fuse.at, fuse.effects = at, effects


@pytest.mark.parametrize("story", [train_through, stop_through, lose_through, serve_through])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow), 6])
def test_killed_at_every_step(tmp_path: Path, story: object, after: bool, every: int) -> None:
    assert callable(story)
    fuse = Fuse()
    story(tmp_path / "whole", fuse)
    assert fuse.effects > 5
    for at in range(after, fuse.effects, every):
        story(tmp_path / f"{at}", Fuse(at, after))
