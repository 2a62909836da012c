"""What was acknowledged before a kill is there after it, once."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from . import work
from .machine import SERVER, Machine, wait_for

WRITERS = 6


@dataclass
class Writer:
    """Puts objects and creates models, one after the other, and notes what was acknowledged, or tried at all."""

    machine: Machine
    number: int
    over: threading.Event
    acknowledged: list[str] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)

    def run(self) -> None:
        s3, sagemaker = self.machine.aws("s3", retries=False), self.machine.aws("sagemaker", retries=False)
        while not self.over.is_set():
            name = f"w{self.number}-{len(self.tried)}"
            self.tried.append(name)
            try:
                s3.put_object(Bucket=work.BUCKET, Key=f"kept/{name}", Body=name.encode() * 100)
                sagemaker.create_model(**model(name))
            except (BotoCoreError, ClientError):
                self.over.wait(0.01)
                continue
            self.acknowledged.append(name)


def model(name: str) -> dict[str, Any]:
    container = {"Image": work.IMAGE, "ModelDataUrl": f"s3://{work.BUCKET}/{name}.tar.gz"}
    return {"ModelName": name, "ExecutionRoleArn": work.ROLE, "PrimaryContainer": container}


def names_of_models(machine: Machine) -> list[str]:
    pages = machine.aws("sagemaker").get_paginator("list_models").paginate(PaginationConfig={"PageSize": 100})
    return [entry["ModelName"] for page in pages for entry in page["Models"]]


@pytest.mark.parametrize("kills", [2, pytest.param(12, marks=pytest.mark.slow)])
def test_creates_and_puts_under_kills(machine: Machine, kills: int) -> None:
    over = threading.Event()
    before = set(names_of_models(machine))
    writers = [Writer(machine, kills * 100 + number, over) for number in range(WRITERS)]
    for service in ("s3", "sagemaker"):  # clients are made here: making them is not for several threads at once
        machine.aws(service, retries=False)
    threads = [threading.Thread(target=each.run) for each in writers]
    for thread in threads:
        thread.start()
    for number in range(kills):
        goes_on(writers)
        machine.kill(*(SERVER if number % 2 else ("control",)))
        if number % 2:
            machine.up()
    goes_on(writers)
    over.set()
    for thread in threads:
        thread.join()
    check(machine, writers, before)


def goes_on(writers: list[Writer]) -> None:
    """Waits for further acknowledgements."""
    enough = total(writers) + 40
    wait_for(lambda: total(writers) > enough, "more acknowledgements")


def total(writers: list[Writer]) -> int:
    return sum(len(each.acknowledged) for each in writers)


def check(machine: Machine, writers: list[Writer], before: set[str]) -> None:
    acknowledged = {name for each in writers for name in each.acknowledged}
    tried = {name for each in writers for name in each.tried}
    listed = names_of_models(machine)
    assert len(listed) == len(set(listed))
    assert acknowledged <= set(listed) - before <= tried
    s3 = machine.aws("s3")
    for name in sorted(acknowledged):
        body = s3.get_object(Bucket=work.BUCKET, Key=f"kept/{name}")["Body"].read()
        assert body == name.encode() * 100


def test_jobs_created_under_kills_run_once(machine: Machine) -> None:
    created: list[str] = []
    sagemaker = machine.aws("sagemaker", retries=False)
    for number in range(6):
        try:
            sagemaker.create_training_job(**work.training_job(f"kept-{number}", 50))
            created.append(f"kept-{number}")
        except (BotoCoreError, ClientError):
            wait_for(lambda: machine.pid("control"), "the next control plane")
        if number in (1, 4):
            machine.kill("control")
    assert len(created) >= 4
    for name in created:
        work.ended(machine, name)
        work.check_whole(machine, name, 50)
