"""Training jobs as benchmarks need them: begun, ended, and the Python of their image."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from measure import processes
from measure.servers import Clary

ROLE = "arn:aws:iam::123456789012:role/service-role/AmazonSageMaker-ExecutionRole-Clary"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
_BETWEEN = 0.02  # seconds between two looks at a job


def train(
    sagemaker: Any, source: str, output: str, settings: Mapping[str, str], longest: int = 3600, image: str = IMAGE
) -> tuple[str, float, float]:
    """Begins a job of the image (the built-in XGBoost) on the CSV files under the S3 prefix `source`, which is ended
    after the `longest` seconds. Its name, and when CreateTrainingJob was called and answered, in epoch seconds."""
    name = f"job-{uuid.uuid4().hex[:12]}"
    where = {"S3DataType": "S3Prefix", "S3Uri": source}
    begin = time.time()
    sagemaker.create_training_job(
        TrainingJobName=name,
        RoleArn=ROLE,
        AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"},
        HyperParameters=dict(settings),
        InputDataConfig=[{"ChannelName": "train", "ContentType": "text/csv", "DataSource": {"S3DataSource": where}}],
        OutputDataConfig={"S3OutputPath": output},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        StoppingCondition={"MaxRuntimeInSeconds": longest},
    )
    return name, begin, time.time()


def ended(sagemaker: Any, name: str, patience: float = 120.0) -> dict[str, Any]:
    """The job's description once it is over. Raises TimeoutError."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        job: dict[str, Any] = sagemaker.describe_training_job(TrainingJobName=name)
        if job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped"):
            return job
        time.sleep(_BETWEEN)
    raise TimeoutError(f"{name} is not over after {patience:.0f} s")


def image_python(server: Clary) -> Path:
    """The interpreter of the image environment whose fork server runs: after a first job there is one."""
    pid = next(pid for name, pid in processes.of_home(server.home).items() if name.startswith("fork-"))
    return Path(Path("/proc", str(pid), "cmdline").read_bytes().split(b"\0")[0].decode())
