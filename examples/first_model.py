"""A first model with boto3 alone: upload, train XGBoost, deploy, predict, delete.

    clary run python examples/first_model.py

It learns whether two numbers add up to more than one. Nothing in here knows of Clary.
"""

from __future__ import annotations

import contextlib
import random
import sys
import time

import boto3
from botocore.exceptions import WaiterError

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
NAME = f"first-model-{int(time.time())}"

s3 = boto3.client("s3")
sagemaker = boto3.client("sagemaker")
logs = boto3.client("logs")
runtime = boto3.client("sagemaker-runtime")
role = boto3.client("iam").get_role(RoleName="AmazonSageMaker-ExecutionRole-Clary")["Role"]["Arn"]


def upload() -> None:
    """CSV as SageMaker's XGBoost wants it: the label first, no header."""
    points = [(random.random(), random.random()) for _ in range(2000)]
    rows = "".join(f"{int(x + y > 1)},{x:.5f},{y:.5f}\n" for x, y in points)
    s3.create_bucket(Bucket=NAME)
    s3.put_object(Bucket=NAME, Key="train/points.csv", Body=rows.encode())


def train() -> str:
    """Where the model is."""
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{NAME}/train/"}
    sagemaker.create_training_job(
        TrainingJobName=NAME,
        RoleArn=role,
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        HyperParameters={"num_round": "20", "objective": "binary:logistic"},
        InputDataConfig=[{"ChannelName": "train", "ContentType": "text/csv", "DataSource": {"S3DataSource": source}}],
        OutputDataConfig={"S3OutputPath": f"s3://{NAME}/output"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    waiter = sagemaker.get_waiter("training_job_completed_or_stopped")
    with contextlib.suppress(WaiterError):  # a job that failed says why itself
        waiter.wait(TrainingJobName=NAME, WaiterConfig={"Delay": 1})
    job = sagemaker.describe_training_job(TrainingJobName=NAME)
    print(job["TrainingJobStatus"])
    if job["TrainingJobStatus"] != "Completed":
        show_log()
        sys.exit(job.get("FailureReason", "The job did not end in time."))
    return job["ModelArtifacts"]["S3ModelArtifacts"]


def show_log() -> None:
    group = "/aws/sagemaker/TrainingJobs"
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=NAME)["logStreams"]
    for stream in streams:
        page = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)
        print("\n".join(event["message"] for event in page["events"]))


def deploy(model: str) -> None:
    container = {"Image": IMAGE, "ModelDataUrl": model}
    variant = {"VariantName": "only", "ModelName": NAME, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_model(ModelName=NAME, ExecutionRoleArn=role, PrimaryContainer=container)
    sagemaker.create_endpoint_config(EndpointConfigName=NAME, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=NAME, WaiterConfig={"Delay": 1})


def predict() -> None:
    answer = runtime.invoke_endpoint(EndpointName=NAME, ContentType="text/csv", Body="0.9,0.8\n0.1,0.3")
    print("0.9 + 0.8 and 0.1 + 0.3 are over 1 with the probabilities", answer["Body"].read().decode().split())


def delete() -> None:
    sagemaker.delete_endpoint(EndpointName=NAME)
    sagemaker.delete_endpoint_config(EndpointConfigName=NAME)
    sagemaker.delete_model(ModelName=NAME)
    bucket = boto3.resource("s3").Bucket(NAME)
    bucket.objects.all().delete()
    bucket.delete()


upload()
artifacts = train()
show_log()
deploy(artifacts)
predict()
delete()
