"""What changes around a job or an endpoint while it lives, and what versions of an image mean."""

from __future__ import annotations

import json

import pytest

from . import work
from .machine import Machine

DATA = "arn:aws:iam::aws:policy/AmazonS3FullAccess"


def make_role(machine: Machine, name: str) -> str:
    """The ARN of a new role that may read and write all data."""
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "sagemaker.amazonaws.com"}}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam = machine.aws("iam")
    arn = str(iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"])
    iam.attach_role_policy(RoleName=name, PolicyArn=DATA)
    return arn


def delete_role(machine: Machine, name: str) -> None:
    machine.aws("iam").detach_role_policy(RoleName=name, PolicyArn=DATA)
    machine.aws("iam").delete_role(RoleName=name)


@pytest.mark.parametrize("restarted", [pytest.param(False, marks=pytest.mark.slow), True])
def test_role_is_deleted_while_a_job_runs(machine: Machine, restarted: bool) -> None:
    """The job goes on until it needs the role: to upload its model."""
    name = f"roleless-{restarted:d}"
    arn = make_role(machine, name)
    work.train(machine, name, 1500, RoleArn=arn)
    work.reached(machine, name, "Training")
    delete_role(machine, name)
    if restarted:  # the agent has to claim its instance anew
        machine.kill("control")
    described = work.ended(machine, name)
    assert described["TrainingJobStatus"] == "Failed"
    assert described["FailureReason"].startswith(f"ClientError: Could not assume role {arn}."), described


def test_role_is_deleted_before_an_endpoint_launches(machine: Machine) -> None:
    arn = make_role(machine, "short")
    sagemaker = machine.aws("sagemaker")
    container = {"Image": work.IMAGE, "ModelDataUrl": f"s3://{work.BUCKET}/model.tar.gz"}
    sagemaker.create_model(ModelName="short", ExecutionRoleArn=arn, PrimaryContainer=container)
    delete_role(machine, "short")
    variant = {"VariantName": "v", "ModelName": "short", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(EndpointConfigName="short", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="short", EndpointConfigName="short")
    described = work.settled(machine, "short")
    assert described["EndpointStatus"] == "Failed"
    assert "Could not assume role" in described["FailureReason"]


@pytest.mark.parametrize(
    ("image", "commas"),
    [("sagemaker-xgboost:1.7-1", False), ("sagemaker-xgboost:1.2-1", True), ("xgboost:1", True), ("xgboost", True)],
)
def test_form_of_csv_answers_follows_the_image_version(machine: Machine, image: str, commas: bool) -> None:
    name = image.replace(":", "-").replace(".", "-")
    full = f"683313688378.dkr.ecr.us-east-1.amazonaws.com/{image}"
    specification = {"TrainingImage": full, "TrainingInputMode": "File"}
    work.train(machine, name, 3, AlgorithmSpecification=specification)
    described = work.ended(machine, name)
    work.serve(machine, name, described["ModelArtifacts"]["S3ModelArtifacts"], full)
    assert work.settled(machine, name)["EndpointStatus"] == "InService"
    answer = work.invoke(machine, name, b"3,4\n5,6\n").decode()
    numbers = [float(each) for each in (answer.split(",") if commas else answer.split())]
    assert len(numbers) == 2 and answer.endswith("\n") is not commas


def test_the_smallest_instance_type_and_the_times_of_a_job(machine: Machine) -> None:
    resources = {"InstanceType": "ml.t3.medium", "InstanceCount": 1, "VolumeSizeInGB": 1}
    work.train(machine, "small", ResourceConfig=resources)
    described = work.ended(machine, "small")
    assert described["TrainingJobStatus"] == "Completed", described.get("FailureReason")
    times = [described[each] for each in ("CreationTime", "TrainingStartTime", "TrainingEndTime", "LastModifiedTime")]
    assert times == sorted(times)
    ran = (described["TrainingEndTime"] - described["TrainingStartTime"]).total_seconds()
    assert abs(described["TrainingTimeInSeconds"] - ran) <= 1
    assert described["BillableTimeInSeconds"] == described["TrainingTimeInSeconds"]
