"""Training jobs with images of one's own, by boto3."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from clary.contract.folder import container_name
from clary.sandbox.engine import Engine
from flows import jobs
from whole_server import WholeServer


def start(
    server: WholeServer,
    image: str,
    instances: int = 1,
    environment: Mapping[str, str] | None = None,
    isolated: bool = False,
    **specification: Any,
) -> str:
    name = f"own-{uuid.uuid4().hex[:8]}"
    server.client("s3").create_bucket(Bucket=name)
    server.client("sagemaker").create_training_job(
        TrainingJobName=name,
        RoleArn=jobs.ROLE,
        AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File", **specification},
        HyperParameters={"epochs": "3"},
        Environment={"GIVEN": "by the request", **(environment or {})},
        EnableNetworkIsolation=isolated,
        OutputDataConfig={"S3OutputPath": f"s3://{name}/output"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": instances, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    return name


def logged(server: WholeServer, job: str) -> list[str]:
    """The lines of a job so far."""
    logs = server.client("logs")
    try:
        streams = logs.describe_log_streams(logGroupName=jobs.GROUP, logStreamNamePrefix=f"{job}/")["logStreams"]
    except logs.exceptions.ResourceNotFoundException:  # the first job's first line makes the group
        return []
    found: list[str] = []
    for each in streams:
        name = each["logStreamName"]
        events = logs.get_log_events(logGroupName=jobs.GROUP, logStreamName=name, startFromHead=True)["events"]
        found += [event["message"] for event in events]
    return found


def containers(podman: Engine, job: str) -> list[str]:
    listed = podman.ask("ps", "--all", "--format", "{{.Names}}", "--filter", f"name={container_name(job)}")
    return listed.split()
