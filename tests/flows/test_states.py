"""What a watcher sees of a job that is ended by its time, and of an endpoint from its first moment to its last."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clary.server import processes
from flows import jobs
from whole_server import WholeServer, wait_until


def refusal(call: Any, **given: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call(**given)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_job_whose_run_time_is_over(server: WholeServer) -> None:
    name = jobs.start(server, rounds=1_000_000, runtime=1)
    job = jobs.ended(server, name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    path = [each["Status"] for each in job["SecondaryStatusTransitions"]]
    assert path == ["Starting", "Downloading", "Training", "Stopping", "Uploading", "MaxRuntimeExceeded"]


@contextmanager
def nothing_launched(server: WholeServer) -> Iterator[None]:
    """What is created meanwhile stays as it is."""
    launcher = processes.recorded(server.settings.run / "launcher.pid")
    assert launcher is not None
    os.kill(launcher.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(launcher.pid, signal.SIGCONT)


def test_an_endpoint_answers_while_and_only_while_it_serves(server: WholeServer) -> None:
    job = jobs.start(server)
    jobs.ended(server, job)
    sagemaker, runtime = server.client("sagemaker"), server.client("sagemaker-runtime")
    asked = {"EndpointName": f"E-{job}", "ContentType": "text/csv", "Body": "0.9,0.9"}
    absent = ("ValidationError", f"Endpoint E-{job} of account 123456789012 not found.")
    jobs.configure(server, job)
    with nothing_launched(server):
        arn = sagemaker.create_endpoint(EndpointName=f"E-{job}", EndpointConfigName=job)["EndpointArn"]
        assert refusal(runtime.invoke_endpoint, **asked) == absent
        taken = ("ValidationException", f'Cannot create already existing endpoint "{arn}".')
        assert refusal(sagemaker.create_endpoint, EndpointName=f"e-{job}", EndpointConfigName=job) == taken
        busy = ("ValidationException", f'Cannot update in-progress endpoint "{arn}".')
        assert refusal(sagemaker.delete_endpoint, EndpointName=f"E-{job}") == busy

    def status() -> str:
        return str(sagemaker.describe_endpoint(EndpointName=f"E-{job}")["EndpointStatus"])

    wait_until(lambda: status() == "InService")
    assert runtime.invoke_endpoint(**asked)["InvokedProductionVariant"] == "v"
    assert refusal(runtime.invoke_endpoint, **asked | {"EndpointName": f"e-{job}"})[0] == "ValidationError"
    sagemaker.update_endpoint(EndpointName=f"E-{job}", EndpointConfigName=job)
    while status() == "Updating":
        runtime.invoke_endpoint(**asked)
    sagemaker.delete_model(ModelName=job)
    sagemaker.delete_endpoint_config(EndpointConfigName=job)
    assert status() == "InService" and runtime.invoke_endpoint(**asked)
    sagemaker.delete_endpoint(EndpointName=f"E-{job}")
    sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=f"E-{job}", WaiterConfig={"Delay": 1})
    wait_until(lambda: _answer(runtime, asked) == absent)


def _answer(runtime: Any, asked: dict[str, str]) -> tuple[str, str]:
    try:
        runtime.invoke_endpoint(**asked)
    except ClientError as refused:
        error = refused.response["Error"]
        return error["Code"], error["Message"]
    return "", ""
