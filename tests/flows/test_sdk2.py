"""The whole story with the SageMaker Python SDK v2."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from whole_server import Done

PROGRAMS = Path(__file__).parent / "programs"
ROLE = "arn:aws:iam::123456789012:role/service-role/AmazonSageMaker-ExecutionRole-Clary"


def lines(done: Done) -> list[str]:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.mark.timeout(300)  # half a minute where nothing else runs
def test_the_story_with_its_live_log(run_client: Callable[..., Done]) -> None:
    done = run_client("sdk2", "python", str(PROGRAMS / "sdk2_story.py"), timeout=280)
    said = lines(done)
    assert "bucket sagemaker-us-east-1-123456789012" in said
    assert f"role {ROLE}" in said
    assert any("[9]" in line and "validation-logloss" in line for line in said)
    assert "Training seconds: " in done.stdout
    assert any(line.startswith("model output/") and line.endswith("/output/model.tar.gz") for line in said)
    assert {"accuracy True", "left []"} <= set(said)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_names_of_v1_without_logs_and_coming_back(run_client: Callable[..., Done]) -> None:
    said = lines(run_client("sdk2", "python", str(PROGRAMS / "sdk2_more.py"), timeout=280))
    assert {"attached True 5", "described Completed"} <= set(said)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_deployment_that_the_sdk_waits_for_and_a_job_that_fails(run_client: Callable[..., Done]) -> None:
    done = run_client("sdk2", "python", str(PROGRAMS / "sdk2_more.py"), "--all", timeout=220)
    lines(done)
    found = re.search(r"endpoint InService (\S+)", done.stdout)
    assert found and -0.2 < float(found[1]) < 0.2
    (reason,) = [line for line in done.stdout.splitlines() if line.startswith("failed ")]
    assert "Failed" in reason and "num_round" in reason


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_code_from_git_with_dependencies_as_a_shell_script_and_as_a_package(
    run_client: Callable[..., Done], tmp_path: Path
) -> None:
    said = lines(run_client("sdk2", "python", str(PROGRAMS / "sdk2_sources.py"), str(tmp_path), timeout=380))
    told = {"git hello you on algo-1", "shell --name you of you", "package __main__ --name you"}
    assert told <= set(said)
