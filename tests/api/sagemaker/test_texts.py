"""The codes and sentences that clients match on, pinned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from sagemaker_bench import ARN, IMAGE, Bench, endpoint_config, model, training_job

Aws = Callable[[str], Any]


def refused(call: Callable[..., Any], **given: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**given)
    error = caught.value.response["Error"]
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return error["Code"], error["Message"]


def test_training_jobs(aws: Aws) -> None:
    client = aws("sagemaker")
    client.create_training_job(**training_job("job"))
    assert refused(client.create_training_job, **training_job("job")) == (
        "ResourceInUse",
        "Training job names must be unique within an AWS account and region, and a training job with this name already "
        f"exists ({ARN}:training-job/job)",
    )
    missing = ("ValidationException", "Requested resource not found.")
    assert refused(client.describe_training_job, TrainingJobName="no") == missing
    assert refused(client.stop_training_job, TrainingJobName="no") == missing
    client.stop_training_job(TrainingJobName="job")
    assert refused(client.stop_training_job, TrainingJobName="job") == (
        "ValidationException",
        "The request was rejected because the training job is in status Stopped.",
    )


def test_models_configurations_and_endpoints(aws: Aws) -> None:
    client = aws("sagemaker")
    for create, describe, given, what, kind in (
        (client.create_model, client.describe_model, model("x"), "model", "model"),
        (client.create_endpoint_config, client.describe_endpoint_config, endpoint_config("x", "x"),
         "endpoint configuration", "endpoint-config"),
        (client.create_endpoint, client.describe_endpoint, {"EndpointName": "x", "EndpointConfigName": "x"},
         "endpoint", "endpoint"),
    ):  # fmt: skip
        name = next(iter(given))
        assert refused(describe, **{name: "x"}) == (
            "ValidationException",
            f'Could not find {what} "{ARN}:{kind}/x".',
        )
        create(**given)
        assert refused(create, **given) == (
            "ValidationException",
            f'Cannot create already existing {what} "{ARN}:{kind}/x".',
        )
    in_progress = ("ValidationException", f'Cannot update in-progress endpoint "{ARN}:endpoint/x".')
    assert refused(client.delete_endpoint, EndpointName="x") == in_progress
    assert refused(client.update_endpoint, EndpointName="x", EndpointConfigName="x") == in_progress
    assert refused(client.create_endpoint_config, **endpoint_config("y", "gone"))[1] == (
        f'Could not find model "{ARN}:model/gone".'
    )


def test_a_role_that_is_not_there(aws: Aws) -> None:
    role = "arn:aws:iam::123456789012:role/nobody"
    code, message = refused(aws("sagemaker").create_training_job, **training_job("job", RoleArn=role))
    assert code == "ValidationException"
    assert message == (
        f"Could not assume role {role}. Please ensure that the role exists and allows principal "
        "'sagemaker.amazonaws.com' to assume the role."
    )


def specification(**more: Any) -> dict[str, Any]:
    return {"AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File", **more}}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"EnableManagedSpotTraining": True}, "EnableManagedSpotTraining"),
        ({"CheckpointConfig": {"S3Uri": "s3://b/c"}}, "CheckpointConfig"),
        ({"VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}}, "VpcConfig"),
        (
            {"DebugRuleConfigurations": [{"RuleConfigurationName": "r", "RuleEvaluatorImage": "i"}]},
            "DebugRuleConfigurations",
        ),
        (
            {"DebugHookConfig": {"S3OutputPath": "s3://b/", "CollectionConfigurations": [{"CollectionName": "all"}]}},
            "DebugHookConfig.CollectionConfigurations",
        ),
        (
            {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "KeepAlivePeriodInSeconds": 60}},
            "KeepAlivePeriodInSeconds",
        ),
        ({"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2}}, "InstanceCount above 1"),
        (specification(TrainingInputMode="Pipe"), "Pipe"),
    ],
)
def test_what_is_not_built_is_refused_by_name(aws: Aws, changes: dict[str, Any], named: str) -> None:
    code, message = refused(aws("sagemaker").create_training_job, **training_job("job", **changes))
    assert code == "ValidationException" and named in message and "not built" in message


@pytest.mark.parametrize(
    "changes",
    [
        {"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1}},
        {"ManagedInstanceScaling": {"Status": "ENABLED"}},
        {"ModelDataDownloadTimeoutInSeconds": 60},
        {"RoutingConfig": {"RoutingStrategy": "RANDOM"}},
    ],
)
def test_variants_of_kinds_that_are_not_built(aws: Aws, changes: dict[str, Any]) -> None:
    client = aws("sagemaker")
    client.create_model(**model("m"))
    code, message = refused(client.create_endpoint_config, **endpoint_config("c", **changes))
    assert code == "ValidationException" and "not built" in message


@pytest.mark.parametrize(
    "changes",
    [
        {"OutputDataConfig": {"S3OutputPath": "https://b/out"}},
        {"StoppingCondition": {"MaxRuntimeInSeconds": 28 * 86_400 + 1}},
        {"StoppingCondition": {"MaxRuntimeInSeconds": 100, "MaxWaitTimeInSeconds": 99}},
        specification(MetricDefinitions=[{"Name": "a", "Regex": "b"}]),
        {"AlgorithmSpecification": {"TrainingImage": "1.dkr.ecr.x/nothing:1", "TrainingInputMode": "File"}},
        {"InputDataConfig": training_job("j")["InputDataConfig"] * 2},
    ],
)
def test_requests_that_cannot_run(aws: Aws, changes: dict[str, Any]) -> None:
    assert refused(aws("sagemaker").create_training_job, **training_job("job", **changes))[0] == "ValidationException"


def test_what_sdk_v2_sends_with_every_job_is_accepted(aws: Aws) -> None:
    client = aws("sagemaker")
    extras = {
        "DebugHookConfig": {"S3OutputPath": "s3://b/", "CollectionConfigurations": []},
        "ProfilerConfig": {"S3OutputPath": "s3://b/", "DisableProfiler": False},
        "ProfilerRuleConfigurations": [],
        "Environment": {},
    }
    client.create_training_job(**training_job("job", **extras))
    job = client.describe_training_job(TrainingJobName="job")
    assert job["DebugHookConfig"] == extras["DebugHookConfig"] and job["ProfilingStatus"] == "Disabled"


def test_describe_gives_back_what_was_asked_for(aws: Aws) -> None:
    client = aws("sagemaker")
    asked = training_job("job", Tags=[{"Key": "k", "Value": "v"}])
    client.create_training_job(**asked)
    job = client.describe_training_job(TrainingJobName="job")
    for member in ("RoleArn", "HyperParameters", "ResourceConfig"):
        assert job[member] == asked[member], member
    assert job["OutputDataConfig"] == {"S3OutputPath": "s3://b/out/", "KmsKeyId": ""}
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600}
    assert job["AlgorithmSpecification"]["TrainingImage"] == IMAGE
    assert {"Name", "Regex"} == set(job["AlgorithmSpecification"]["MetricDefinitions"][0])
    assert "Tags" not in job and job["CreationTime"].tzinfo is not None


def test_waiters_end(aws: Aws, bench: Bench) -> None:
    client = aws("sagemaker")
    client.create_training_job(**training_job("good"))
    client.create_training_job(**training_job("bad"))
    bench.settle(5)
    for instance in bench.compute.alive():
        bench.compute.exit(instance, *(("failed", "AlgorithmError: x") if instance.startswith("bad") else ()))
    bench.settle()
    waiter = client.get_waiter("training_job_completed_or_stopped")
    waiter.wait(TrainingJobName="good", WaiterConfig={"Delay": 0, "MaxAttempts": 1})
    with pytest.raises(WaiterError):
        waiter.wait(TrainingJobName="bad", WaiterConfig={"Delay": 0, "MaxAttempts": 1})
    client.get_waiter("endpoint_deleted").wait(EndpointName="gone", WaiterConfig={"Delay": 0, "MaxAttempts": 1})
    client.create_model(**model("m"))
    client.create_endpoint_config(**endpoint_config("c"))
    client.create_endpoint(EndpointName="e", EndpointConfigName="c")
    bench.step()
    for instance in bench.compute.alive():
        bench.compute.healthy(instance)
    bench.step()
    client.get_waiter("endpoint_in_service").wait(EndpointName="e", WaiterConfig={"Delay": 0, "MaxAttempts": 1})
    assert client.describe_endpoint(EndpointName="e")["ProductionVariants"][0]["CurrentInstanceCount"] == 1
