"""Training jobs of several instances, over FakeCompute: who is launched with what, and how they end together."""

from __future__ import annotations

from typing import Any

import pytest

from clary.contract.instance import HostGroup
from clary.errors import ServiceError
from sagemaker_bench import Bench

SCRIPT = {"sagemaker_program": '"train.py"'}
GROUPS = [
    {"InstanceGroupName": "small", "InstanceType": "ml.m5.large", "InstanceCount": 1},
    {"InstanceGroupName": "large", "InstanceType": "ml.m5.xlarge", "InstanceCount": 2},
]


def channel(name: str, *groups: str) -> dict[str, Any]:
    source: dict[str, Any] = {"S3DataType": "S3Prefix", "S3Uri": f"s3://b/{name}/"}
    return {
        "ChannelName": name,
        "DataSource": {"S3DataSource": source | ({"InstanceGroupNames": list(groups)} if groups else {})},
    }


def train(bench: Bench, resources: dict[str, Any], **changes: Any) -> None:
    resources = {"VolumeSizeInGB": 5, **resources}
    bench.train("job", HyperParameters=SCRIPT, ResourceConfig=resources, **changes)
    bench.settle(3)


def test_hosts_alike(bench: Bench) -> None:
    train(bench, {"InstanceType": "ml.m5.large", "InstanceCount": 10})
    specs = bench.compute.specs
    names = [f"algo-{n}" for n in range(1, 11)]
    assert [each.host for each in specs] == names
    assert {each.hosts for each in specs} == {tuple(sorted(names))}
    assert {each.token for each in specs} == {specs[0].token}
    assert specs[0].peers == {each.host: each.id for each in specs}
    assert specs[0].groups == (HostGroup("homogeneousCluster", "ml.m5.large", tuple(names)),)
    assert [each.log_stream.split("-")[1] for each in specs] == [str(n) for n in range(1, 11)]
    assert bench.job("job")["ResourceConfig"]["InstanceCount"] == 10


def test_hosts_in_groups(bench: Bench) -> None:
    train(bench, {"InstanceGroups": GROUPS}, InputDataConfig=[channel("all"), channel("some", "large")])
    first, second, third = bench.compute.specs
    assert [each.instance_type for each in (first, second, third)] == ["ml.m5.large", "ml.m5.xlarge", "ml.m5.xlarge"]
    assert (first.memory, third.memory) == (8 << 30, 16 << 30)
    assert [each.hosts for each in first.groups] == [("algo-1",), ("algo-2", "algo-3")]
    assert [each.name for each in first.channels] == ["all"]
    assert [each.hosts for each in second.channels] == [("algo-1", "algo-2", "algo-3"), ("algo-2", "algo-3")]
    assert second.channels == third.channels
    assert bench.job("job")["ResourceConfig"]["InstanceGroups"] == GROUPS


def test_all_have_to_complete(bench: Bench) -> None:
    train(bench, {"InstanceType": "ml.m5.large", "InstanceCount": 2})
    first, second = (each.id for each in bench.compute.specs)
    bench.compute.exit(second, metrics={"loss": (1.0, 2.0)})
    bench.settle(2)
    assert bench.job("job")["TrainingJobStatus"] == "InProgress"
    bench.compute.exit(first, model="s3://b/out/job/output/model.tar.gz")
    bench.settle()
    job = bench.job("job")
    assert job["TrainingJobStatus"] == "Completed"
    assert job["ModelArtifacts"]["S3ModelArtifacts"].endswith("/model.tar.gz")
    assert job["FinalMetricDataList"][0]["MetricName"] == "loss"


def test_one_that_fails_stops_the_others_and_says_why(bench: Bench) -> None:
    train(bench, {"InstanceType": "ml.m5.large", "InstanceCount": 3})
    ids = [each.id for each in bench.compute.specs]
    bench.compute.exit(ids[1], "failed", failure="AlgorithmError: it was me, exit code: 1")
    bench.settle()
    assert bench.compute.stops == {ids[0], ids[2]}
    job = bench.job("job")
    assert (job["TrainingJobStatus"], job["FailureReason"]) == ("Failed", "AlgorithmError: it was me, exit code: 1")


@pytest.mark.parametrize(
    ("resources", "channels", "words"),
    [
        ({"InstanceGroups": GROUPS, "InstanceCount": 1}, [], "either InstanceGroups or InstanceCount"),
        ({"InstanceGroups": [GROUPS[0], GROUPS[0]]}, [], "must be unique"),
        ({"InstanceGroups": GROUPS}, [channel("c", "other")], "instance group other"),
        ({"InstanceType": "ml.m5.large", "InstanceCount": 101}, [], "at most 100"),
        ({"InstanceType": "ml.m5.large", "InstanceCount": 0}, [], "at least 1"),
        ({"InstanceGroups": [{**GROUPS[0], "InstanceType": "ml.none"}]}, [], "ml.none"),
    ],
)
def test_requests_that_make_no_sense(bench: Bench, resources: Any, channels: Any, words: str) -> None:
    with pytest.raises(ServiceError, match=words):
        train(bench, resources, InputDataConfig=channels)


def test_algorithms_say_whether_they_can(bench: Bench) -> None:
    with pytest.raises(ServiceError, match=r"InstanceCount above 1 for xgboost is not built"):
        bench.train("job", ResourceConfig={"InstanceGroups": GROUPS, "VolumeSizeInGB": 5})
