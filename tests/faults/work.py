"""What the faults are inflicted on: small training jobs and endpoints of built-in XGBoost."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from typing import Any

from .machine import Machine, wait_for

ROLE = "arn:aws:iam::123456789012:role/service-role/AmazonSageMaker-ExecutionRole-Clary"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
BUCKET = "faults"
GROUP = "/aws/sagemaker/TrainingJobs"
TERMINAL = ("Completed", "Failed", "Stopped")
ROWS = "".join(f"{(a * 7 + b * 3) % 11 > 5:d},{a},{b}\n" for a in range(20) for b in range(20)).encode()


def prepare(machine: Machine, data: bytes = ROWS) -> None:
    s3 = machine.aws("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="train/rows.csv", Body=data)


def channel(name: str, uri: str = f"s3://{BUCKET}/train/", content_type: str = "text/csv") -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "ContentType": content_type, "DataSource": {"S3DataSource": source}}


def training_job(name: str, rounds: int = 20, **changes: Any) -> dict[str, Any]:
    """A request of CreateTrainingJob; `changes` replace members, hyperparameters come on top."""
    hyperparameters = {"num_round": str(rounds), "objective": "binary:logistic", **changes.pop("hyperparameters", {})}
    request = {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "HyperParameters": hyperparameters,
        "InputDataConfig": [channel("train")],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
    return {**request, **changes}


def train(machine: Machine, name: str, rounds: int = 20, **changes: Any) -> None:
    machine.aws("sagemaker").create_training_job(**training_job(name, rounds, **changes))


def job(machine: Machine, name: str) -> dict[str, Any]:
    answer: dict[str, Any] = machine.aws("sagemaker").describe_training_job(TrainingJobName=name)
    return answer


def ended(machine: Machine, name: str, seconds: float = 60.0) -> dict[str, Any]:
    """The job once it is over."""
    wait_for(lambda: job(machine, name)["TrainingJobStatus"] in TERMINAL, f"the end of {name}", seconds)
    return job(machine, name)


def reached(machine: Machine, name: str, *secondary: str) -> str:
    """Waits until the job has one of these secondary statuses, or is over."""
    wanted = {*secondary, "Completed", "Failed", "Stopped", "MaxRuntimeExceeded"}
    return wait_for(lambda: (now := job(machine, name)["SecondaryStatus"]) in wanted and now, f"{name}: {secondary}")


def lines(machine: Machine, name: str) -> list[str]:
    """All the job printed, as CloudWatch Logs has it."""
    logs = machine.aws("logs")
    streams = logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{name}/")["logStreams"]
    assert len(streams) == 1, streams
    return events(machine, GROUP, streams[0]["logStreamName"])


def events(machine: Machine, group: str, stream: str) -> list[str]:
    found: list[str] = []
    token: dict[str, str] = {}
    while True:
        answer = machine.aws("logs").get_log_events(
            logGroupName=group, logStreamName=stream, startFromHead=True, **token
        )
        if not answer["events"]:
            return found
        found += [event["message"] for event in answer["events"]]
        token = {"nextToken": answer["nextForwardToken"]}


def check_whole(machine: Machine, name: str, rounds: int) -> None:
    """The job completed, ran once, printed every line once and in order, and left a model that can be read."""
    described = job(machine, name)
    assert described["TrainingJobStatus"] == "Completed", described.get("FailureReason")
    story = [entry["Status"] for entry in described["SecondaryStatusTransitions"] if entry["Status"] != "Pending"]
    assert story == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    printed = lines(machine, name)
    assert sum("Docker entrypoint called" in line for line in printed) == 1
    numbers = [int(line[1 : line.index("]")]) for line in printed if "train-logloss" in line]
    assert numbers == list(range(rounds))
    assert model_files(machine, described["ModelArtifacts"]["S3ModelArtifacts"]) == ["xgboost-model"]


def model_files(machine: Machine, uri: str) -> list[str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body = machine.aws("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body), mode="r:gz") as archive:
        return [each.name.removeprefix("./") for each in archive if each.isfile()]


def archive(files: dict[str, bytes]) -> bytes:
    """A .tar.gz with these members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def serve(machine: Machine, name: str, model_data: str, image: str = IMAGE, **variant: Any) -> None:
    """Creates model, configuration and endpoint, all of one name."""
    sagemaker = machine.aws("sagemaker")
    container = {"Image": image, "ModelDataUrl": model_data}
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    first = {
        "VariantName": "all",
        "ModelName": name,
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
        "InitialVariantWeight": 1,
        **variant,
    }
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[first])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)


def endpoint(machine: Machine, name: str) -> dict[str, Any]:
    answer: dict[str, Any] = machine.aws("sagemaker").describe_endpoint(EndpointName=name)
    return answer


def settled(machine: Machine, name: str) -> dict[str, Any]:
    """The endpoint once it is created, or failed to be."""
    wait_for(lambda: endpoint(machine, name)["EndpointStatus"] not in ("Creating", "Updating"), f"endpoint {name}")
    return endpoint(machine, name)


def invoke(machine: Machine, name: str, body: bytes = b"3,4", retries: bool = True) -> bytes:
    runtime = machine.aws("sagemaker-runtime", retries)
    answer: bytes = runtime.invoke_endpoint(EndpointName=name, ContentType="text/csv", Body=body)["Body"].read()
    return answer


def answers(machine: Machine, name: str) -> Callable[[], bool]:
    """A probe for `wait_for`: whether an invocation is answered now."""

    def probe() -> bool:
        try:
            return bool(invoke(machine, name, retries=False))
        except Exception:
            return False

    return probe
