"""The story with the SageMaker Python SDK v3. Its environment is heavy, so all of it is slow."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from whole_server import Done

PROGRAMS = Path(__file__).parent / "programs"
ROLE = "arn:aws:iam::123456789012:role/service-role/AmazonSageMaker-ExecutionRole-Clary"


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("more", [[], ["--boto3"]], ids=["ModelBuilder", "boto3"])
def test_the_story(run_client: Callable[..., Done], more: list[str]) -> None:
    done = run_client("sdk3", "python", str(PROGRAMS / "sdk3_story.py"), *more, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.splitlines()
    assert {"bucket sagemaker-us-east-1-123456789012", f"role {ROLE}", "job Completed"} <= set(said)
    assert "validation-logloss" in done.stdout + done.stderr
    assert "accuracy True" in said
    assert said[-1].endswith("deleted")  # a progress panel of the SDK may stand before it


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_trainer_with_code_of_one_s_own(run_client: Callable[..., Done], tmp_path: Path) -> None:
    """Its drivers in the job: scripts, shells, commands, requirements, code as an archive."""
    program = str(PROGRAMS / "sdk3_trainer.py")
    done = run_client("sdk3", "python", program, str(tmp_path), timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    said = dict(line.partition(" ")[::2] for line in done.stdout.splitlines())
    told = json.loads(said["script"])
    assert told["arguments"] == ["--learning-rate", "0.5", "--name", "a b"]
    assert (told["words"], told["number"], told["SM_HP_LEARNING_RATE"]) == (3, "12,345", "0.5")
    assert (told["SM_SOURCE_DIR"], told["SM_ENTRY_SCRIPT"]) == ("/opt/ml/input/data/code", "tells.py")
    assert (said["shell"], said["command"], said["archive"]) == ("one two three", "$HOME; it's", "12,345")
    assert "AlgorithmError: , exit code: 7" in said["fails"]


@pytest.mark.slow
@pytest.mark.timeout(1300)
def test_the_builder_with_models_of_one_s_own(run_client: Callable[..., Done], tmp_path: Path) -> None:
    """With the SDK's serving code, which needs the whole SDK: the first deployment installs it."""
    done = run_client("sdk3", "python", str(PROGRAMS / "sdk3_builder.py"), str(tmp_path), timeout=1280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {"scikit-learn True", "InferenceSpec True"} <= set(done.stdout.splitlines())


@pytest.mark.slow
@pytest.mark.timeout(900)  # PyTorch's environment may have to be built
def test_the_trainer_with_torchrun(run_client: Callable[..., Done], tmp_path: Path) -> None:
    done = run_client("sdk3", "python", str(PROGRAMS / "sdk3_torchrun.py"), str(tmp_path), timeout=880)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.splitlines()
    assert {"rank 0 of 2 has 3.0", "rank 1 of 2 has 3.0", "job Completed"} <= set(said)
