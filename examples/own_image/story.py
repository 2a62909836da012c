"""Trains and serves an image of your own with boto3: a decision tree that learns which of three corners is nearest.

clary images register my-team/trees:1 examples/own_image/program
clary run python examples/own_image/story.py my-team/trees:1
"""

from __future__ import annotations

import random
import sys
import time

import boto3

NAME = f"own-image-{int(time.time() * 1000)}"
CORNERS = {"left": (0.0, 0.0), "right": (1.0, 0.0), "top": (0.5, 1.0)}
SOON = {"Delay": 1, "MaxAttempts": 300}

s3 = boto3.client("s3")
sagemaker = boto3.client("sagemaker")
runtime = boto3.client("sagemaker-runtime")
role = boto3.client("iam").get_role(RoleName="AmazonSageMaker-ExecutionRole-Clary")["Role"]["Arn"]


def points(count: int) -> list[tuple[str, float, float]]:
    """(nearest corner, x, y)."""
    drawn = [(random.random(), random.random()) for _ in range(count)]
    return [(min(CORNERS, key=lambda name: distance(CORNERS[name], each)), *each) for each in drawn]


def distance(one: tuple[float, float], other: tuple[float, float]) -> float:
    return (one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2


def train(image: str) -> str:
    """Where the model is."""
    rows = "".join(f"{label},{x:.5f},{y:.5f}\n" for label, x, y in points(2000))
    s3.create_bucket(Bucket=NAME)
    s3.put_object(Bucket=NAME, Key="train/points.csv", Body=rows.encode())
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{NAME}/train/"}
    metric = {"Name": "leaves", "Regex": "leaves=([0-9]+);"}
    sagemaker.create_training_job(
        TrainingJobName=NAME,
        RoleArn=role,
        AlgorithmSpecification={
            "TrainingImage": image,
            "TrainingInputMode": "File",
            "MetricDefinitions": [metric],
        },
        HyperParameters={"max_leaf_nodes": "20"},
        InputDataConfig=[{"ChannelName": "training", "DataSource": {"S3DataSource": source}}],
        OutputDataConfig={"S3OutputPath": f"s3://{NAME}/output"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    sagemaker.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName=NAME, WaiterConfig=SOON)
    job = sagemaker.describe_training_job(TrainingJobName=NAME)
    print(job["TrainingJobStatus"], {each["MetricName"]: each["Value"] for each in job["FinalMetricDataList"]})
    return job["ModelArtifacts"]["S3ModelArtifacts"]


def deploy(image: str, model: str) -> None:
    container = {"Image": image, "ModelDataUrl": model}
    variant = {"VariantName": "all", "ModelName": NAME, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_model(ModelName=NAME, PrimaryContainer=container, ExecutionRoleArn=role)
    sagemaker.create_endpoint_config(EndpointConfigName=NAME, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=NAME, WaiterConfig=SOON)


def ask() -> None:
    asked = points(500)
    body = "".join(f"{x},{y}\n" for _, x, y in asked)
    answer = runtime.invoke_endpoint(EndpointName=NAME, ContentType="text/csv", Body=body.encode())
    labels = answer["Body"].read().decode().split()
    right = sum(label == said for (label, _, _), said in zip(asked, labels, strict=True))
    print(f"{right} of {len(asked)} are right")


def delete() -> None:
    sagemaker.delete_endpoint(EndpointName=NAME)
    sagemaker.delete_endpoint_config(EndpointConfigName=NAME)
    sagemaker.delete_model(ModelName=NAME)


if __name__ == "__main__":
    deploy(sys.argv[1], train(sys.argv[1]))
    ask()
    delete()
