"""The story with the SageMaker Python SDK v3. Its environment is heavy, so all of it is slow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from whole_server import Done

PROGRAM = str(Path(__file__).parent / "programs" / "sdk3_story.py")
ROLE = "arn:aws:iam::123456789012:role/service-role/AmazonSageMaker-ExecutionRole-Clary"


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("more", [[], ["--boto3"]], ids=["ModelBuilder", "boto3"])
def test_the_story(run_client: Callable[..., Done], more: list[str]) -> None:
    done = run_client("sdk3", "python", PROGRAM, *more, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.splitlines()
    assert {"bucket sagemaker-us-east-1-123456789012", f"role {ROLE}", "job Completed"} <= set(said)
    assert "validation-logloss" in done.stdout + done.stderr
    assert "accuracy True" in said
    assert said[-1].endswith("deleted")  # a progress panel of the SDK may stand before it
