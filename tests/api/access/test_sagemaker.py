"""Policies that look at what is asked of SageMaker, and at the tags of what is there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from api.access.people import ACCOUNT, Person, allow, refusal, role, unique
from flows.jobs import IMAGE
from whole_server import WholeServer, wait_until

DENIED = "AccessDeniedException"


@pytest.fixture(scope="module")
def role_arn(server: WholeServer) -> str:
    return role(server)


@pytest.fixture(scope="module")
def job(role_arn: str) -> dict[str, Any]:
    """A training job that is refused for what it names, once its maker may make it."""
    return {
        "TrainingJobName": "never",
        "RoleArn": role_arn,
        "AlgorithmSpecification": {"TrainingImage": "no image", "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://b/out", "KmsKeyId": "alias/mine"},
        "ResourceConfig": {
            "InstanceType": "ml.m5.large",
            "InstanceCount": 1,
            "VolumeSizeInGB": 1,
            "VolumeKmsKeyId": "alias/mine",
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        "EnableNetworkIsolation": True,
        "EnableInterContainerTrafficEncryption": True,
        "VpcConfig": {"Subnets": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]},
        "Tags": [{"Key": "team", "Value": "a"}],
    }


@pytest.mark.parametrize(
    ("operator", "key", "value", "other"),
    [
        ("ForAllValues:StringLike", "sagemaker:InstanceTypes", "ml.m5.*", "ml.p4d.*"),
        ("StringEquals", "sagemaker:VolumeKmsKey", "alias/mine", "alias/theirs"),
        ("StringEquals", "sagemaker:OutputKmsKey", "alias/mine", "alias/theirs"),
        ("NumericLessThanEquals", "sagemaker:MaxRuntimeInSeconds", "60", "59"),
        ("Bool", "sagemaker:NetworkIsolation", "true", "false"),
        ("Bool", "sagemaker:InterContainerTrafficEncryption", "true", "false"),
        ("ForAllValues:StringEquals", "sagemaker:VpcSubnets", ["subnet-1", "subnet-2"], "subnet-1"),
        ("ForAnyValue:StringEquals", "sagemaker:VpcSecurityGroupIds", "sg-1", "sg-2"),
        ("StringEquals", "aws:RequestTag/team", "a", "b"),
        ("ForAllValues:StringEquals", "aws:TagKeys", "team", "Team"),
    ],
)
def test_what_is_asked_decides(
    server: WholeServer, job: dict[str, Any], operator: str, key: str, value: object, other: object
) -> None:
    passing, tagging = allow("iam:PassRole"), allow("sagemaker:AddTags")
    for wanted, code in ((value, "ValidationException"), (other, DENIED)):
        creating = allow("sagemaker:CreateTrainingJob", Condition={operator: {key: wanted}})
        person = Person(server, creating, passing, tagging)
        assert refusal(person.client("sagemaker").create_training_job, **job)[0] == code


def test_tags_are_added_by_certain_operations(server: WholeServer, job: dict[str, Any]) -> None:
    creating, passing = allow("sagemaker:CreateTrainingJob"), allow("iam:PassRole")
    for operation, code in (("CreateTrainingJob", "ValidationException"), ("CreateModel", DENIED)):
        tagging = allow("sagemaker:AddTags", Condition={"StringEquals": {"sagemaker:TaggingAction": operation}})
        person = Person(server, creating, passing, tagging)
        assert refusal(person.client("sagemaker").create_training_job, **job)[0] == code


@pytest.fixture(scope="module")
def endpoint(server: WholeServer, role_arn: str) -> Iterator[str]:
    """The name of an endpoint, its configuration and its model, all tagged with team=a."""
    sagemaker, name = server.client("sagemaker"), unique("tagged")
    tags = {"Tags": [{"Key": "Team", "Value": "a"}]}
    container = {"Image": IMAGE, "ModelDataUrl": "s3://none/model.tar.gz"}
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=role_arn, PrimaryContainer=container, **tags)
    variant = {"VariantName": "a", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant], **tags)
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name, **tags)
    yield name

    def gone() -> bool:
        return sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] != "Creating"

    wait_until(gone, 60)
    sagemaker.delete_endpoint(EndpointName=name)


@pytest.mark.parametrize("key", ["aws:ResourceTag/team", "sagemaker:ResourceTag/Team"])
def test_tags_of_what_is_there_decide(server: WholeServer, endpoint: str, key: str) -> None:
    mine = Person(server, allow("sagemaker:*", Condition={"StringEquals": {key: "a"}}))
    other = Person(server, allow("sagemaker:*", Condition={"StringEquals": {key: "b"}}))
    arn = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:model/{endpoint}"
    variant = {"VariantName": "a", "ModelName": endpoint, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    for person, allowed in ((mine, True), (other, False)):
        sagemaker, runtime = person.client("sagemaker"), person.client("sagemaker-runtime")
        for work, given in (
            (sagemaker.describe_model, {"ModelName": endpoint}),
            (sagemaker.describe_endpoint_config, {"EndpointConfigName": endpoint}),
            (sagemaker.describe_endpoint, {"EndpointName": endpoint}),
            (sagemaker.list_tags, {"ResourceArn": arn}),
        ):
            if allowed:
                assert work(**given)
            else:
                assert refusal(work, **given)[0] == DENIED
        code = refusal(runtime.invoke_endpoint, EndpointName=endpoint, Body=b"1")[0]
        assert (code == DENIED) is not allowed
        made = refusal(sagemaker.create_endpoint_config, EndpointConfigName="x", ProductionVariants=[variant])
        assert made[0] == DENIED, "what is not there has no tags"


def test_a_change_of_tags_counts_at_once(server: WholeServer, endpoint: str) -> None:
    person = Person(server, allow("sagemaker:DescribeModel", Condition={"StringEquals": {"aws:ResourceTag/kind": "x"}}))
    describe, sagemaker = person.client("sagemaker").describe_model, server.client("sagemaker")
    arn = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:model/{endpoint}"
    for _ in range(3):
        assert refusal(describe, ModelName=endpoint)[0] == DENIED
        sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "kind", "Value": "x"}])
        assert describe(ModelName=endpoint)
        sagemaker.delete_tags(ResourceArn=arn, TagKeys=["kind"])


def test_tags_of_roles_and_log_groups(server: WholeServer, role_arn: str) -> None:
    iam, logs, name = server.client("iam"), server.client("logs"), unique("g")
    role_name = role_arn.rpartition("/")[2]
    iam.tag_role(RoleName=role_name, Tags=[{"Key": "Team", "Value": "a"}])
    logs.create_log_group(logGroupName=name, tags={"team": "a"})
    tagged = {"StringEquals": {"aws:ResourceTag/team": "a"}}
    person = Person(server, allow("logs:*", "iam:GetRole", Condition=tagged))
    assert person.client("logs").describe_log_streams(logGroupName=name)["logStreams"] == []
    assert person.client("iam").get_role(RoleName=role_name)
    logs.untag_log_group(logGroupName=name, tags=["team"])
    iam.untag_role(RoleName=role_name, TagKeys=["Team"])
    assert refusal(person.client("logs").describe_log_streams, logGroupName=name)[0] == DENIED
    assert refusal(person.client("iam").get_role, RoleName=role_name)[0] == "AccessDenied"
    removing = {"ForAllValues:StringEquals": {"aws:TagKeys": ["draft"]}}
    person.may(allow("logs:UntagLogGroup", Condition=removing))
    person.client("logs").untag_log_group(logGroupName=name, tags=["draft"])
    assert refusal(person.client("logs").untag_log_group, logGroupName=name, tags=["team"])[0] == DENIED
