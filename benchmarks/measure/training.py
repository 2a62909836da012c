"""Training jobs as benchmarks need them: begun, ended, and the Python of their image."""

from __future__ import annotations

import contextlib
import math
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import WaiterError

from measure import processes
from measure.servers import Clary

ROLE = "arn:aws:iam::123456789012:role/service-role/AmazonSageMaker-ExecutionRole-Clary"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
_HELD = 25  # seconds for which the server holds what a waiter asks
_BETWEEN = 0.02  # seconds between two looks at a job whose Describe nobody holds


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
    """The job's description once it is over. While the server holds the waiter's question nobody asks another, which
    would take a core from the job now and then. Raises TimeoutError."""
    deadline = time.monotonic() + patience
    with contextlib.suppress(WaiterError):  # it failed; or was not held, or not long enough
        attempts = {"Delay": 0, "MaxAttempts": math.ceil(patience / _HELD)}
        sagemaker.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName=name, WaiterConfig=attempts)
    while time.monotonic() < deadline:
        job: dict[str, Any] = sagemaker.describe_training_job(TrainingJobName=name)
        if job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped"):
            return job
        time.sleep(_BETWEEN)
    raise TimeoutError(f"{name} is not over after {patience:.0f} s")


def printed(logs: Any, name: str, line: str = "") -> float:
    """When a job printed the first line of its own that holds `line`, in epoch seconds. Raises StopIteration."""
    group = "/aws/sagemaker/TrainingJobs"
    stream = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")["logStreams"][0]
    events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)[
        "events"
    ]
    own = (each for each in events if not each["message"].startswith("Clary:"))
    return float(next(each["timestamp"] for each in own if line in each["message"])) / 1e3


def image_python(server: Clary) -> Path:
    """The interpreter of the image environment whose fork server runs: after a first job there is one."""
    pid = next(pid for name, pid in processes.of_home(server.home).items() if name.startswith("fork-"))
    return Path(Path("/proc", str(pid), "cmdline").read_bytes().split(b"\0")[0].decode())
