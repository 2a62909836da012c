"""The whole story with boto3: bucket, upload, training with its log, endpoint, predictions, everything deleted.

boto3_story.py [--endpoint-url URL] [--instances N] [--region REGION]
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import boto3
import points

ROLE = "arn:aws:iam::123456789012:role/service-role/AmazonSageMaker-ExecutionRole-Clary"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
GROUP = "/aws/sagemaker/TrainingJobs"
QUICK = {"Delay": 1, "MaxAttempts": 100}


def channel(name: str, bucket: str) -> dict[str, Any]:
    where = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/{name}/", "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "ContentType": "text/csv", "DataSource": {"S3DataSource": where}}


def train(sagemaker: Any, name: str, bucket: str) -> str:
    """The S3 URI of the model."""
    sagemaker.create_training_job(
        TrainingJobName=name,
        RoleArn=ROLE,
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        HyperParameters={"num_round": "10", "objective": "binary:logistic"},
        InputDataConfig=[channel("train", bucket), channel("validation", bucket)],
        OutputDataConfig={"S3OutputPath": f"s3://{bucket}/output"},
        ResourceConfig={"InstanceType": "ml.m4.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 5},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    sagemaker.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName=name, WaiterConfig=QUICK)
    job = sagemaker.describe_training_job(TrainingJobName=name)
    print("job", job["TrainingJobStatus"], [each["Status"] for each in job["SecondaryStatusTransitions"]])
    print("metrics", sorted(each["MetricName"] for each in job["FinalMetricDataList"]))
    return str(job["ModelArtifacts"]["S3ModelArtifacts"])


def print_log(logs: Any, name: str) -> None:
    (stream,) = logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{name}/")["logStreams"]
    more: dict[str, str] = {}
    while True:
        page = logs.get_log_events(
            logGroupName=GROUP, logStreamName=stream["logStreamName"], startFromHead=True, **more
        )
        if not page["events"]:
            return
        for event in page["events"]:
            print("log", event["message"])
        more = {"nextToken": page["nextForwardToken"]}


def deploy(sagemaker: Any, name: str, model: str, instances: int) -> None:
    sagemaker.create_model(
        ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": IMAGE, "ModelDataUrl": model}
    )
    variant = {"VariantName": "AllTraffic", "ModelName": name, "InstanceType": "ml.m4.xlarge"}
    sagemaker.create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=[{**variant, "InitialInstanceCount": instances}]
    )
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig=QUICK)
    (running,) = sagemaker.describe_endpoint(EndpointName=name)["ProductionVariants"]
    print("instances", running["CurrentInstanceCount"])


def evaluate(runtime: Any, name: str) -> None:
    test = points.table(300, seed=3)
    scores: list[float] = []
    for begin in range(0, len(test), 100):
        body = points.csv(test[begin : begin + 100], label=False)
        answer = runtime.invoke_endpoint(EndpointName=name, ContentType="text/csv", Body=body)
        scores += [float(score) for score in answer["Body"].read().decode().replace(",", "\n").split()]
    print("accuracy", points.accuracy(test, scores) > 0.95)


def delete(sagemaker: Any, s3: Any, name: str) -> None:
    sagemaker.delete_endpoint(EndpointName=name)
    sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig=QUICK)
    sagemaker.delete_endpoint_config(EndpointConfigName=name)
    sagemaker.delete_model(ModelName=name)
    s3.Bucket(name).objects.all().delete()
    s3.Bucket(name).delete()
    left = [len(sagemaker.list_endpoints(NameContains=name)["Endpoints"])]
    left.append(len(sagemaker.list_models(NameContains=name)["Models"]))
    left.append(len([bucket for bucket in s3.buckets.all() if bucket.name == name]))
    print("left", left)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--endpoint-url")
    parser.add_argument("--instances", type=int, default=1)
    parser.add_argument("--region", default="us-east-1")
    given = parser.parse_args()

    def client(service: str) -> Any:
        return boto3.client(service, endpoint_url=given.endpoint_url, region_name=given.region)

    sagemaker = client("sagemaker")
    name = f"story-{time.time_ns()}"
    s3 = boto3.resource("s3", endpoint_url=given.endpoint_url, region_name=given.region)
    elsewhere = {"CreateBucketConfiguration": {"LocationConstraint": given.region}}
    bucket = s3.create_bucket(Bucket=name, **(elsewhere if given.region != "us-east-1" else {}))
    for seed, part in enumerate(("train", "validation")):
        bucket.put_object(Key=f"{part}/points.csv", Body=points.csv(points.table(1000, seed)).encode())
    model = train(sagemaker, name, name)
    print("model", model.removeprefix(f"s3://{name}/"))
    print_log(client("logs"), name)
    deploy(sagemaker, name, model, given.instances)
    evaluate(client("sagemaker-runtime"), name)
    delete(sagemaker, s3, name)


if __name__ == "__main__":
    main()
