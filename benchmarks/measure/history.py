"""Training jobs of the past: written into a home before its server starts, as CreateTrainingJob and the scheduler would
have left them, so that what is measured is the control plane and not the jobs."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection

from clary.config import Settings
from clary.images.local import LocalImages
from clary.services import resources
from clary.services.sagemaker.training_job import request, transitions
from clary.services.sagemaker.training_job.declaration import TRAINING_JOB
from clary.store import schema
from clary.store.engine import SqliteDatabase
from clary.store.records import Record
from measure import processes
from measure.servers import Clary
from measure.training import IMAGE, ROLE, ended

BEGIN = 1_700_000_000.0  # epoch seconds: when the first was created; the others follow, one a minute
BETWEEN = 60.0
_BATCH = 10_000


def asked_for(name: str) -> dict[str, Any]:
    """What boto3 sends for a usual job of a built-in algorithm."""
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": "s3://census/train/",
        "S3DataDistributionType": "FullyReplicated",
    }
    return {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "HyperParameters": {"num_round": "100", "max_depth": "5", "eta": "0.2", "objective": "binary:logistic"},
        "InputDataConfig": [
            {"ChannelName": each, "ContentType": "text/csv", "DataSource": {"S3DataSource": source}}
            for each in ("train", "validation")
        ],
        "OutputDataConfig": {"S3OutputPath": "s3://census/output"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    }


def of(number: int) -> str:
    """The name of the job with that number."""
    return f"census-{number:06}"


def training_jobs(count: int) -> Callable[[Path], None]:
    """For `servers.clary`: `count` jobs that are over. One in 20 failed, one in 50 was stopped."""

    def prepare(home: Path) -> None:
        settings = Settings.load({}, home=home)
        settings.data.mkdir(mode=0o700, parents=True)
        database = SqliteDatabase(str(settings.data / "records.db"), schema.RECORDS)
        rows = _rows(settings, count)
        while batch := list(itertools.islice(rows, _BATCH)):
            database.write(functools.partial(_insert, batch))
        database.close()

    return prepare


def _insert(rows: list[dict[str, Any]], connection: Connection) -> None:
    connection.execute(schema.records.insert(), rows)


@contextmanager
def halted_job(server: Clary) -> Iterator[None]:
    """A job of a server with one slot that has the slot and takes no CPU: its agent is halted before it does anything.
    Raises TimeoutError."""
    client, deadline = server.client("sagemaker"), time.monotonic() + 60
    for number in range(100):  # an agent that is through before it is caught leaves a job that failed: the next one
        client.create_training_job(**asked_for(f"halted-{number}"))
        agent = _agent(server.home, deadline)
        os.kill(agent, signal.SIGSTOP)
        time.sleep(0.5)
        if client.describe_training_job(TrainingJobName=f"halted-{number}")["SecondaryStatus"] == "Starting":
            break
        os.kill(agent, signal.SIGCONT)
        ended(client, f"halted-{number}")
    try:
        yield
    finally:
        os.kill(agent, signal.SIGCONT)


def _agent(home: Path, deadline: float) -> int:
    while time.monotonic() < deadline:
        for name, pid in processes.of_home(home).items():
            if name.startswith("agent-"):
                return pid
        time.sleep(0.001)
    raise TimeoutError("no agent began")


def page(client: Any, given: Mapping[str, Any]) -> bytes:
    """The body of the answer to ListTrainingJobs."""
    bodies: list[bytes] = []
    client.meta.events.register(
        "before-parse.sagemaker.ListTrainingJobs", lambda response_dict, **_: bodies.append(response_dict["body"])
    )
    client.list_training_jobs(**given)
    return bodies[0]


def _rows(settings: Settings, count: int) -> Iterator[dict[str, Any]]:
    asked = request.completed(asked_for(of(0)), LocalImages(settings), settings.account)
    for number in range(count):
        record = _record(settings, asked, number)
        yield {column.name: getattr(record, column.name) for column in schema.records.columns}


def _record(settings: Settings, asked: dict[str, Any], number: int) -> Record:
    name, created = of(number), BEGIN + number * BETWEEN
    document = {**asked, "TrainingJobName": name} | transitions.begin(created)
    for status, after in (("Downloading", 1.0), ("Training", 2.0), ("Uploading", 8.0)):
        document = transitions.enter(document, status, created + after, f"{status} it")
    status = "Failed" if number % 20 == 0 else "Stopped" if number % 50 == 1 else "Completed"
    if status == "Failed":
        document = transitions.fail(document, "AlgorithmError: it could not", created + 9.0)
    else:
        document = transitions.end(document, status, created + 9.0)
        document["ModelArtifacts"] = {"S3ModelArtifacts": f"s3://census/output/{name}/output/model.tar.gz"}
    arn = TRAINING_JOB.arn(settings.account, settings.region, name)
    kind, modified = TRAINING_JOB.kind, created + 9.0
    record = Record(kind, settings.account, settings.region, arn, name, status, created, modified, document, None, 6)
    return dataclasses.replace(record, summary=resources.summary(TRAINING_JOB, record))
