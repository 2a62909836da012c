"""Training jobs and endpoints by boto3, in their smallest useful form."""

from __future__ import annotations

import uuid
from typing import Any

from flows.programs import points
from whole_server import WholeServer, wait_until

ROLE = "arn:aws:iam::123456789012:role/service-role/AmazonSageMaker-ExecutionRole-Clary"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
GROUP = "/aws/sagemaker/TrainingJobs"


def start(
    server: WholeServer,
    rounds: int = 5,
    rows: int = 500,
    runtime: int = 600,
    role: str = ROLE,
    data_key: str = "",
    output_key: str = "",
) -> str:
    """The name of a training job, and of the bucket with its data. `data_key` is the KMS key that the bucket encrypts
    under, `output_key` that of the job's output."""
    name = f"job-{uuid.uuid4().hex[:12]}"
    s3 = server.client("s3")
    s3.create_bucket(Bucket=name)
    if data_key:
        applied = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": data_key}
        rule = {"ApplyServerSideEncryptionByDefault": applied, "BucketKeyEnabled": True}
        s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.put_object(Bucket=name, Key="train/points.csv", Body=points.csv(points.table(rows, seed=1)).encode())
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{name}/train/"}
    server.client("sagemaker").create_training_job(
        TrainingJobName=name,
        RoleArn=role,
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        HyperParameters={"num_round": str(rounds), "objective": "binary:logistic"},
        InputDataConfig=[{"ChannelName": "train", "ContentType": "text/csv", "DataSource": {"S3DataSource": source}}],
        OutputDataConfig={"S3OutputPath": f"s3://{name}/output", "KmsKeyId": output_key},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        StoppingCondition={"MaxRuntimeInSeconds": runtime},
    )
    return name


def describe(server: WholeServer, name: str) -> dict[str, Any]:
    found: dict[str, Any] = server.client("sagemaker").describe_training_job(TrainingJobName=name)
    return found


def ended(server: WholeServer, name: str) -> dict[str, Any]:
    """The job's description, once it has ended."""
    terminal = ("Completed", "Failed", "Stopped")
    wait_until(lambda: describe(server, name)["TrainingJobStatus"] in terminal, 90)
    return describe(server, name)


def configure(server: WholeServer, job: str, role: str = ROLE, image: str = IMAGE, model: str = "") -> None:
    """A model and an endpoint configuration of the job's name; `model` is its archive where no job made one."""
    sagemaker = server.client("sagemaker")
    model = model or describe(server, job)["ModelArtifacts"]["S3ModelArtifacts"]
    sagemaker.create_model(
        ModelName=job, ExecutionRoleArn=role, PrimaryContainer={"Image": image, "ModelDataUrl": model}
    )
    variant = {"VariantName": "v", "ModelName": job, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(EndpointConfigName=job, ProductionVariants=[variant])


def deploy(server: WholeServer, job: str, role: str = ROLE, image: str = IMAGE, model: str = "") -> str:
    """The name of an endpoint in service with the job's model, or the archive `model`."""
    configure(server, job, role, image, model)
    sagemaker = server.client("sagemaker")
    sagemaker.create_endpoint(EndpointName=job, EndpointConfigName=job)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=job, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    return job
