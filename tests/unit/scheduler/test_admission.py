from __future__ import annotations

import botocore.session

from clary.scheduler import instance_types
from clary.scheduler.admission import MOST_COUNTED, Capacity, Claim, Machine, niceness
from clary.scheduler.instance_types import GIB

TWO_CORES = Machine(2, 16 * GIB)


def claim(instances: int = 1, memory: int = 8 * GIB) -> Claim:
    return Claim(instances, memory)


def test_slots_by_cores_but_at_least_two_or_as_set() -> None:
    assert Capacity.of(Machine(1, GIB), 0).slots == 2
    assert Capacity.of(Machine(8, GIB), 0).slots == 8
    assert Capacity.of(Machine(8, GIB), 3).slots == 3


def test_jobs_step_back_the_farther_the_more_there_may_be() -> None:
    assert niceness(Machine(8, GIB), 0) == niceness(Machine(8, GIB), 3) == 10
    assert niceness(TWO_CORES, 4) == 13
    assert niceness(TWO_CORES, 1000) == 19


def test_first_come_first_served() -> None:
    capacity = Capacity.of(TWO_CORES, 0)
    assert capacity.obstacle(claim(), [], 0) == ""
    assert "1 training job(s) that came first" in capacity.obstacle(claim(), [], 1)
    assert "100 or more training job(s)" in capacity.obstacle(claim(), [], MOST_COUNTED)
    assert "2 of 2" in capacity.obstacle(claim(), [claim(), claim()], 0)


def test_memory_holds_back_many_instances_but_never_a_job_alone() -> None:
    capacity = Capacity.of(TWO_CORES, 0)
    assert capacity.obstacle(claim(instances=9, memory=400 * GIB), [], 0) == ""
    assert "Waiting for memory" in capacity.obstacle(claim(instances=2), [claim()], 0)
    assert capacity.obstacle(claim(memory=400 * GIB), [claim(memory=400 * GIB)], 0) == ""


def test_every_type_of_the_model_is_known() -> None:
    model = botocore.session.get_session().get_service_model("sagemaker")
    for shape in ("TrainingInstanceType", "ProductionVariantInstanceType"):
        for name in model.shape_for(shape).enum:
            found = instance_types.find(name)
            assert found.vcpus >= 1 and found.memory >= GIB, name


def test_some_types_as_published() -> None:
    for name, vcpus, gib, gpus in (
        ("ml.m5.large", 2, 8, 0),
        ("ml.m5.xlarge", 4, 16, 0),
        ("ml.m4.16xlarge", 64, 256, 0),
        ("ml.c5.18xlarge", 72, 144, 0),
        ("ml.c4.large", 2, 3.75, 0),
        ("ml.r5.24xlarge", 96, 768, 0),
        ("ml.t3.medium", 2, 4, 0),
        ("ml.g4dn.12xlarge", 48, 192, 4),
        ("ml.g5.48xlarge", 192, 768, 8),
        ("ml.p3.2xlarge", 8, 61, 1),
    ):
        found = instance_types.find(name)
        assert (found.vcpus, found.memory / GIB, found.gpus) == (vcpus, gib, gpus), name
