"""Signed requests that no honest client sends: each is refused with an error of the client's."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from whole_server import WholeServer

UNCHECKED = Config(parameter_validation=False)
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
ROLE = "arn:aws:iam::123456789012:role/service-role/AmazonSageMaker-ExecutionRole-Clary"


def refused(server: WholeServer, service: str, operation: str, **given: Any) -> tuple[str, str]:
    client = server.client(service, config=UNCHECKED)
    with pytest.raises(ClientError) as caught:
        getattr(client, operation)(**given)
    error = caught.value.response["Error"]
    assert 400 <= caught.value.response["ResponseMetadata"]["HTTPStatusCode"] < 500, error
    return error["Code"], error["Message"]


def test_a_policy_nested_without_end(server: WholeServer) -> None:
    code, _ = refused(server, "iam", "create_role", RoleName="deep", AssumeRolePolicyDocument="[" * 60_000)
    assert code in ("MalformedPolicyDocument", "ValidationError")


@pytest.mark.parametrize("operation", ["put_bucket_tagging", "put_bucket_versioning"])
def test_a_document_that_is_missing(server: WholeServer, operation: str) -> None:
    server.client("s3").create_bucket(Bucket="no-document")
    client = server.client("s3", config=UNCHECKED)
    client.meta.events.register("before-sign.s3", _without_body)
    with pytest.raises(ClientError, match="MissingRequestBodyError"):
        getattr(client, operation)(Bucket="no-document", **{_PAYLOAD[operation]: {}})


_PAYLOAD = {"put_bucket_tagging": "Tagging", "put_bucket_versioning": "VersioningConfiguration"}


def _without_body(request: Any, **_: Any) -> None:
    request.data = b""
    for name in ("Content-MD5", "x-amz-checksum-crc32", "x-amz-sdk-checksum-algorithm"):
        del request.headers[name]


@pytest.mark.parametrize("place", [["x"], [[]], [{}], ["x", "y", "z"], [10**30, 0, 0], [1, 2], [None, 1, "a"]])
def test_tokens_made_by_the_client(server: WholeServer, place: list[Any]) -> None:
    logs = server.client("logs")
    if not logs.describe_log_groups(logGroupNamePrefix="forged")["logGroups"]:
        logs.create_log_group(logGroupName="forged")
    questions = {
        "describe_log_streams": ({"logGroupName": "forged"}, ["streams", "forged", "", False, False]),
        "filter_log_events": ({"logGroupName": "forged"}, ["filter", {"logGroupName": "forged"}]),
        "describe_log_groups": ({}, ["groups", {}]),
    }
    for operation, (given, question) in questions.items():
        if (operation, place) == ("describe_log_groups", ["x"]):
            continue  # a place of this listing
        check = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:16]
        token = base64.urlsafe_b64encode(json.dumps([check, *place]).encode()).decode()
        answer = refused(server, "logs", operation, nextToken=token, **given)
        assert answer == ("InvalidParameterException", "The specified nextToken is invalid.")
    nested = base64.urlsafe_b64encode(b"[" * 1500).decode()
    assert refused(server, "logs", "describe_log_groups", nextToken=nested)[0] == "InvalidParameterException"


def _job(**given: Any) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://b/p"}
    return {
        "TrainingJobName": "hostile",
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        "OutputDataConfig": {"S3OutputPath": "s3://b/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    } | given


@pytest.mark.parametrize("name", [".", "..", "../x", "/etc", "a\0b", ""])
def test_channel_names_that_are_no_folders(server: WholeServer, name: str) -> None:
    channels = [_job()["InputDataConfig"][0] | {"ChannelName": name}]
    code, message = refused(server, "sagemaker", "create_training_job", **_job(InputDataConfig=channels))
    assert code == "ValidationException"
    assert "channel" in message.lower()


def test_environments_that_no_process_can_have(server: WholeServer) -> None:
    given = {"Environment": {"A": "x\0y"}}
    jobs = refused(server, "sagemaker", "create_training_job", **_job(**given))
    container = {"Image": IMAGE} | given
    models = refused(
        server, "sagemaker", "create_model", ModelName="nul", ExecutionRoleArn=ROLE, PrimaryContainer=container
    )
    text = "The value of environment variable A holds a NUL character. Please remove it."
    assert jobs == models == ("ValidationException", text)
