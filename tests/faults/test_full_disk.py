"""A disk that is full: refusals in good form, nothing damaged, and everything goes on when there is room again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from . import work
from .conftest import Start
from .machine import Machine, wait_for

SIZE = 48  # MiB


@pytest.fixture
def machine(start: Start, tmp_path: Path) -> Iterator[Machine]:
    """Its home is a small file system of its own."""
    home = tmp_path / "home"
    home.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}m,mode=0700", "tmpfs", str(home)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    machine = None
    try:
        machine = start(home=home)
        yield machine
    finally:
        if machine is not None:
            machine.down()
        subprocess.run(["umount", "-l", str(home)], check=True)


def fill(machine: Machine, leave: int = 0) -> Path:
    """A file that takes all the room but `leave` bytes."""
    file = machine.home / "ballast"
    room = os.statvfs(machine.home)
    with file.open("wb") as ballast:
        try:
            left = room.f_bavail * room.f_frsize - leave
            while left > 0:
                left -= ballast.write(bytes(min(left, 1 << 16)))
                ballast.flush()
        except OSError:
            pass
    return file


def refusal(call: object, **given: object) -> tuple[str, int]:
    """Code and status of an error."""
    assert callable(call)
    with pytest.raises(ClientError) as caught:
        call(**given)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_a_full_home_refuses_and_recovers(machine: Machine) -> None:
    s3, sagemaker = machine.aws("s3", retries=False), machine.aws("sagemaker", retries=False)
    work.train(machine, "before")
    assert work.ended(machine, "before")["TrainingJobStatus"] == "Completed"
    ballast = fill(machine)
    code, status = refusal(s3.put_object, Bucket=work.BUCKET, Key="large", Body=bytes(1 << 20))
    assert status in (503, 507), code
    code, status = refusal(sagemaker.create_training_job, **work.training_job("full"))
    assert status in (503, 507), code
    assert s3.get_object(Bucket=work.BUCKET, Key="train/rows.csv")["Body"].read() == work.ROWS
    ballast.unlink()
    wait_for(lambda: _completes(machine), "the first job after it")
    assert s3.list_objects_v2(Bucket=work.BUCKET, Prefix="large")["KeyCount"] == 0
    machine.kill_server()
    machine.up()
    assert work.job(machine, "before")["TrainingJobStatus"] == "Completed"


def _completes(machine: Machine) -> bool:
    work.train(machine, "after")
    described = work.ended(machine, "after")
    assert described["TrainingJobStatus"] == "Completed", described.get("FailureReason")
    return True


def test_a_job_that_fills_the_disk_fails_with_the_reason(machine: Machine) -> None:
    data = b"".join(b"1,%d,%d\n" % (number, number * 3) for number in range(700_000))
    machine.aws("s3").put_object(Bucket=work.BUCKET, Key="big/rows.csv", Body=data)
    room = os.statvfs(machine.home)
    ballast = fill(machine, leave=len(data) // 2)
    assert room.f_bavail * room.f_frsize > len(data)
    work.train(machine, "big", InputDataConfig=[work.channel("train", f"s3://{work.BUCKET}/big/")])
    described = work.ended(machine, "big")
    assert described["TrainingJobStatus"] == "Failed"
    assert described["FailureReason"].startswith("ClientError: No space left on the instance's volume.")
    ballast.unlink()
    assert _completes(machine)


@pytest.mark.slow
def test_a_job_that_prints_onto_a_full_disk_is_not_held_for_ever(machine: Machine) -> None:
    work.train(machine, "talker", 10_000_000)
    work.reached(machine, "talker", "Training")
    (instance,) = machine.instances()
    ballast = fill(machine)
    # The job is over and its files are gone; its record may have to wait, when the server took that room at once.
    wait_for(lambda: not instance.base.exists(), "the end of the job")
    ballast.unlink()
    described = work.ended(machine, "talker")
    assert described["TrainingJobStatus"] == "Failed"
    assert described["FailureReason"].startswith("ClientError: No space left on the instance's volume.")
