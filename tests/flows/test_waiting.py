"""Untouched clients that wait: they return with the change. Without the hold they would sleep on for up to 120 s."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows import jobs
from flows.programs import points
from whole_server import Done, WholeServer

PROGRAMS = Path(__file__).parent / "programs"
LATE = 2.0  # seconds; these tests share a machine with others, benchmarks/waiting.py has it to itself


def counted(client: Any, operation: str) -> list[float]:
    """When each call of an operation was made."""
    calls: list[float] = []
    client.meta.events.register(f"before-send.sagemaker.{operation}", lambda **_: calls.append(time.time()))
    return calls


def late(server: WholeServer, job: str, returned: float) -> float:
    """Seconds from the job's last change."""
    return returned - float(jobs.describe(server, job)["LastModifiedTime"].timestamp())


def test_a_waiter_returns_with_the_job_and_all_its_lines(server: WholeServer) -> None:
    sagemaker, logs = server.client("sagemaker"), server.client("logs")
    calls = counted(sagemaker, "DescribeTrainingJob")
    for _ in range(3):
        job = jobs.start(server, rounds=40)
        sagemaker.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName=job)
        returned = time.time()
        events = logs.filter_log_events(logGroupName=jobs.GROUP, logStreamNamePrefix=f"{job}/")["events"]
        assert sum("train-logloss" in event["message"] for event in events) == 40
        assert jobs.describe(server, job)["TrainingJobStatus"] == "Completed"
        assert late(server, job, returned) < LATE
    assert len(calls) == 3


def test_waiters_see_an_endpoint_come_and_go(server: WholeServer) -> None:
    sagemaker = server.client("sagemaker")
    job = jobs.start(server)
    sagemaker.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName=job)
    calls = counted(sagemaker, "DescribeEndpoint")
    jobs.configure(server, job)
    sagemaker.create_endpoint(EndpointName=job, EndpointConfigName=job)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=job)
    sagemaker.update_endpoint(EndpointName=job, EndpointConfigName=job)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=job)
    sagemaker.delete_endpoint(EndpointName=job)
    sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=job)
    assert len(calls) == 3


def test_a_plain_describe_is_answered_at_once(server: WholeServer) -> None:
    sagemaker = server.client("sagemaker")
    job = jobs.start(server, rounds=1_000_000)
    began, statuses = time.time(), set()
    for _ in range(20):
        statuses.add(sagemaker.describe_training_job(TrainingJobName=job)["TrainingJobStatus"])
    assert (statuses, time.time() - began < 10) == ({"InProgress"}, True)
    sagemaker.stop_training_job(TrainingJobName=job)
    sagemaker.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName=job)


def test_the_command_line_waits_no_longer(server: WholeServer, run_client: Callable[..., Done]) -> None:
    job = jobs.start(server, rounds=1_000_000, runtime=5)
    words = ("sagemaker", "wait", "training-job-completed-or-stopped", "--training-job-name", job)
    done = run_client("awscli", "aws", *words)
    assert done.returncode == 0, done.stderr
    assert late(server, job, time.time()) < LATE


@pytest.fixture(scope="module")
def data(server: WholeServer) -> str:
    """An S3 prefix with training data of which a round takes a while."""
    bucket = f"waiting-{uuid.uuid4().hex[:12]}"
    s3 = server.client("s3")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="train/points.csv", Body=points.csv(points.table(50_000, seed=1)).encode())
    return f"s3://{bucket}"


@pytest.mark.slow
@pytest.mark.timeout(640)
@pytest.mark.parametrize("options", [[], ["--quiet"]], ids=["logs", "quiet"])
@pytest.mark.parametrize(("sdk", "first_ask"), [("sdk2", 5.0), ("sdk3", 0.0)])
@pytest.mark.parametrize("seconds", [2, 8])  # and what starting and stopping take: before v2's first look, and after
def test_an_sdk_returns_with_the_job(
    server: WholeServer,
    run_client: Callable[..., Done],
    data: str,
    sdk: str,
    first_ask: float,
    options: list[str],
    seconds: int,
) -> None:
    command = [sdk, "python", str(PROGRAMS / f"wait_{sdk}.py"), data, str(seconds), *options]
    seen = []
    for _ in range(3):  # what else the machine does may hold a client up once; its own sleeps do so each time
        done = run_client(*command, timeout=200)
        assert done.returncode == 0, done.stdout + done.stderr
        said = json.loads(done.stdout.splitlines()[-1])
        job = jobs.describe(server, said["job"])
        earliest = max(job["CreationTime"].timestamp() + first_ask, job["LastModifiedTime"].timestamp())
        seen.append(said["returned"] - earliest)
        if seen[-1] < LATE:
            return
    pytest.fail(f"seconds late, in three tries: {seen}")
