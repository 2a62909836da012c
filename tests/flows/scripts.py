"""Training jobs and endpoints that run a script."""

from __future__ import annotations

import io
import json
import tarfile
import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from flows import jobs
from whole_server import WholeServer, wait_until

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"


Files = Mapping[str, str] | Mapping[str, str | bytes]  # their paths and contents


def archive(files: Files) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as target:
        for name, text in files.items():
            content = text if isinstance(text, bytes) else text.encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            target.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def train(
    server: WholeServer,
    files: Files,
    hyperparameters: Mapping[str, str] | None = None,
    image: str = IMAGE,
    request: Mapping[str, Any] = MappingProxyType({}),
    **specification: Any,
) -> dict[str, Any]:
    """A job that ran the first of the files, once it has ended. They are its channel "code", too. `request` and
    `specification` are further members of the request and of its AlgorithmSpecification."""
    name = request.get("TrainingJobName") or f"script-{uuid.uuid4().hex[:8]}"
    s3 = server.client("s3")
    s3.create_bucket(Bucket=name)
    for path, text in files.items():
        s3.put_object(Bucket=name, Key=f"files/{path}", Body=text)
    s3.put_object(Bucket=name, Key="code/sourcedir.tar.gz", Body=archive(files))
    code = {
        "sagemaker_program": json.dumps(next(iter(files))),
        "sagemaker_submit_directory": json.dumps(f"s3://{name}/code/sourcedir.tar.gz"),
    }
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{name}/files/"}
    usual = {
        "TrainingJobName": name,
        "RoleArn": jobs.ROLE,
        "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"} | specification,
        "InputDataConfig": [{"ChannelName": "code", "DataSource": {"S3DataSource": source}}],
        "HyperParameters": {**code, **(hyperparameters or {})},
        "OutputDataConfig": {"S3OutputPath": f"s3://{name}/output"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
    server.client("sagemaker").create_training_job(**(usual | request))
    wait_until(lambda: jobs.describe(server, name)["TrainingJobStatus"] in ("Completed", "Failed"), 600)
    return jobs.describe(server, name)


def model(server: WholeServer, job: Mapping[str, Any]) -> dict[str, bytes]:
    """The files of a completed job's model."""
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    name = job["TrainingJobName"]
    packed = server.client("s3").get_object(Bucket=name, Key=f"output/{name}/output/model.tar.gz")["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(packed)) as source:
        return {each.name: source.extractfile(each).read() for each in source if each.isfile()}  # type: ignore[union-attr] # it is a file


def serve(server: WholeServer, files: Files, variables: Mapping[str, str] | None = None) -> str:
    """The name of an endpoint in service with this archive as its model."""
    name = f"served-{uuid.uuid4().hex[:8]}"
    s3, sagemaker = server.client("s3"), server.client("sagemaker")
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="model.tar.gz", Body=archive(files))
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://{name}/model.tar.gz", "Environment": dict(variables or {})}
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=jobs.ROLE, PrimaryContainer=container)
    variant = {"VariantName": "v", "ModelName": name, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    wait_until(lambda: sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] != "Creating", 600)
    return name


def invoke(server: WholeServer, name: str, body: bytes, content_type: str, **more: str) -> tuple[str, bytes]:
    runtime = server.client("sagemaker-runtime")
    answer = runtime.invoke_endpoint(EndpointName=name, Body=body, ContentType=content_type, **more)
    return answer["ContentType"], answer["Body"].read()
