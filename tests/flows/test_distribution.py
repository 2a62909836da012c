"""Scripts that run in several processes on several hosts, by the SDK v2's `distribution`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flows.scripts import train
from whole_server import Done, WholeServer

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.5.1-cpu-py311"
FAILS = """
import os, time
if "1" in (os.environ.get("RANK"), os.environ.get("PMI_RANK")):
    raise ValueError("no such column")
time.sleep(600)
"""
PROGRAM = Path(__file__).parent / "programs" / "sdk2_distribution.py"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]  # the first job may have to build an environment


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("torchrun", ["algo-1 processes 2 alike True found 3.00 1.00"]),
        ("workers", ["algo-1 worker 0 of 2 found 3.00 1.00", "algo-2 worker 1 of 2 found 3.00 1.00"]),
        ("mpi", ["algo-1 processes 4 found 3.00 1.00 on algo-1 algo-1 algo-2 algo-2 option"]),
        (
            "parameter-servers",
            [
                "algo-1 master found 3.00 1.00 on /job:ps/task:0 /job:ps/task:1",
                "algo-2 worker found 3.00 1.00 on /job:ps/task:0 /job:ps/task:1",
            ],
        ),
    ],
)
def test_two_hosts_train_one_model(run_client: Callable[..., Done], name: str, expected: list[str]) -> None:
    done = run_client("sdk2", "python", str(PROGRAM), name, timeout=1180)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [each for each in expected if each not in lines] == [], done.stdout
    assert "job Completed" in lines


@pytest.mark.parametrize("setting", ["sagemaker_torch_distributed_enabled", "sagemaker_mpi_enabled"])
def test_what_one_of_two_processes_raises_is_the_reason(server: WholeServer, setting: str) -> None:
    hyperparameters = {setting: "true", "sagemaker_mpi_num_of_processes_per_host": "2"}
    reason = train(server, {"fails.py": FAILS}, hyperparameters, image=IMAGE)["FailureReason"]
    assert reason.startswith("AlgorithmError: ExecuteUserScriptError:") and "ValueError: no such column" in reason
