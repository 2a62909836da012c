"""Jobs and endpoints as somebody sees them who watches: logs while they come, work side by side."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from flows import jobs
from whole_server import WholeServer


def lines_as_they_come(server: WholeServer, name: str) -> Iterator[tuple[float, dict[str, Any]]]:
    """(when it was seen, the event), until the job has ended and all of its log has been seen."""
    logs, more = server.client("logs"), dict[str, str]()
    while True:
        status = jobs.describe(server, name)["TrainingJobStatus"]
        try:
            found = logs.describe_log_streams(logGroupName=jobs.GROUP, logStreamNamePrefix=f"{name}/")["logStreams"]
        except logs.exceptions.ResourceNotFoundException:  # until the first job of all prints
            continue
        if not found:
            continue
        where = {"logGroupName": jobs.GROUP, "logStreamName": found[0]["logStreamName"], "startFromHead": True}
        page = logs.get_log_events(**where, **more)
        more = {"nextToken": page["nextForwardToken"]}
        yield from ((time.time(), event) for event in page["events"])
        if not page["events"] and status != "InProgress":
            return


@pytest.fixture
def trained(server: WholeServer) -> str:
    name = jobs.start(server)
    assert jobs.ended(server, name)["TrainingJobStatus"] == "Completed"
    return name


@pytest.mark.slow  # a measure of time: it wants the machine for itself
def test_lines_are_seen_within_a_second_of_being_printed(server: WholeServer) -> None:
    name = jobs.start(server, rounds=600, rows=2000)
    seen = list(lines_as_they_come(server, name))
    rounds = [(at, event) for at, event in seen if "train-logloss" in event["message"]]
    assert [event["message"].split("]")[0] for _, event in rounds] == [f"[{number}" for number in range(600)]
    delays = [at - event["timestamp"] / 1000 for at, event in rounds]
    assert statistics.median(delays) <= 1.0
    end = jobs.describe(server, name)["TrainingEndTime"].timestamp()
    assert any(at < end for at, _ in rounds), "the log came only after the job had ended"


def test_clary_logs_follows_a_job_to_its_end(server: WholeServer) -> None:
    name = jobs.start(server, rounds=300)
    command = [sys.executable, "-m", "clary.cli", "logs", name, "--follow"]
    done = subprocess.run(command, env=server.environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert jobs.describe(server, name)["TrainingJobStatus"] == "Completed"
    rounds = [line for line in done.stdout.splitlines() if "train-logloss" in line]
    assert len(rounds) == 300
    assert server.clary("logs", name).stdout == done.stdout


def test_an_endpoint_in_service_keeps_no_job_waiting(server: WholeServer, trained: str) -> None:
    endpoint = jobs.deploy(server, trained)
    another = [jobs.start(server), jobs.start(server)]
    for name in another:
        job = jobs.ended(server, name)
        assert job["TrainingJobStatus"] == "Completed"
        assert "Pending" not in [each["Status"] for each in job["SecondaryStatusTransitions"]]
    runtime = server.client("sagemaker-runtime")
    answer = runtime.invoke_endpoint(EndpointName=endpoint, ContentType="text/csv", Body="0.9,0.9")
    assert float(answer["Body"].read()) > 0.5
    server.client("sagemaker").delete_endpoint(EndpointName=endpoint)


def test_an_endpoint_has_a_log_of_its_own(server: WholeServer, trained: str) -> None:
    endpoint = jobs.deploy(server, trained)
    done = server.clary("logs", endpoint)
    assert (done.returncode, done.stderr) == (0, "")
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    (stream,) = server.client("logs").describe_log_streams(logGroupName=group)["logStreams"]
    assert stream["logStreamName"].startswith("v/")
    server.client("sagemaker").delete_endpoint(EndpointName=endpoint)
