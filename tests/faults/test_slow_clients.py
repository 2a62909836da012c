"""Clients that keep the server waiting, and a server that keeps clients waiting and dies."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest

from . import work
from .machine import Machine, wait_for

_UPLOADS = 40  # the control plane has 32 threads for requests


@pytest.fixture(scope="module")
def endpoint(machine: Machine) -> str:
    work.train(machine, "model")
    work.serve(machine, "e", work.ended(machine, "model")["ModelArtifacts"]["S3ModelArtifacts"])
    assert work.settled(machine, "e")["EndpointStatus"] == "InService"
    return "e"


def stuck_upload(machine: Machine, number: int) -> socket.socket:
    """An upload that stops after its first byte."""
    where = {"Bucket": work.BUCKET, "Key": f"stuck-{number}"}
    url = urlsplit(machine.aws("s3").generate_presigned_url("put_object", where))
    assert url.hostname and url.port
    connection = socket.create_connection((url.hostname, url.port), timeout=20)
    head = f"PUT {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: 1000\r\n\r\nx"
    connection.sendall(head.encode())
    return connection


def test_stuck_uploads_delay_nobody(machine: Machine, endpoint: str) -> None:
    """Not even those by keys that the edge has to ask for."""
    iam = machine.aws("iam")
    iam.create_user(UserName="caller")
    iam.attach_user_policy(UserName="caller", PolicyArn="arn:aws:iam::aws:policy/AmazonSageMakerFullAccess")
    keys = [iam.create_access_key(UserName="caller")["AccessKey"] for _ in range(2)]
    callers = [
        boto3.client(
            "sagemaker-runtime",
            endpoint_url=machine.url,
            region_name="us-east-1",
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
        )
        for key in keys
    ]
    with contextlib.ExitStack() as uploads:
        for number in range(_UPLOADS):
            uploads.enter_context(stuck_upload(machine, number))
        began = time.monotonic()
        for caller in callers:
            assert caller.invoke_endpoint(EndpointName=endpoint, ContentType="text/csv", Body=b"3,4")["Body"].read()
        assert machine.ask("status")["answers"]
        assert machine.aws("s3").list_buckets()["Buckets"]  # they keep no other request waiting either
        assert time.monotonic() - began < 20  # an upload that stands still is given up after 60


def wait(machine: Machine, job: str) -> threading.Event:
    """Returns once an untouched waiter is held; the event is set when it has returned."""
    client, asked, returned = machine.aws("sagemaker"), threading.Event(), threading.Event()

    def run() -> None:
        client.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName=job)
        returned.set()

    client.meta.events.register("before-send.sagemaker.DescribeTrainingJob", lambda **_: asked.set())
    threading.Thread(target=run, daemon=True).start()
    assert asked.wait(20)
    return returned


@pytest.mark.parametrize("name", ["control", "edge-0"])
def test_a_wait_goes_on_when_what_holds_it_is_killed(machine: Machine, name: str) -> None:
    job = f"held-by-{name}"
    work.train(machine, job, 1_000_000)
    work.reached(machine, job, "Training")
    returned = wait(machine, job)
    before = machine.pid(name)
    machine.kill(name)
    wait_for(lambda: machine.pid(name) not in (None, before), f"the next {name}")
    assert not returned.is_set()
    machine.aws("sagemaker").stop_training_job(TrainingJobName=job)
    assert returned.wait(20)
    assert work.job(machine, job)["TrainingJobStatus"] == "Stopped"


def test_a_server_that_is_shut_down_answers_who_waits_and_is_not_kept(machine: Machine) -> None:
    work.train(machine, "left", 1_000_000)
    work.reached(machine, "left", "Training")
    answers: list[Any] = []
    waiting: Any = machine.aws("sagemaker", retries=False)
    asked = threading.Event()

    def describe() -> None:
        waiting.get_waiter("training_job_completed_or_stopped").wait(
            TrainingJobName="left", WaiterConfig={"Delay": 0, "MaxAttempts": 1}
        )

    waiting.meta.events.register("before-send.sagemaker.DescribeTrainingJob", lambda **_: asked.set())
    waiting.meta.events.register("after-call.sagemaker.DescribeTrainingJob", lambda parsed, **_: answers.append(parsed))
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(describe)
        assert asked.wait(20)
        machine.down()
        with pytest.raises(Exception, match="Max attempts exceeded"):
            done.result()
    assert [answer["TrainingJobStatus"] for answer in answers] == ["InProgress"]
    machine.up()
