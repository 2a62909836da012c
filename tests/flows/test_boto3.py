"""The whole story with boto3."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from whole_server import Done, WholeServer

PROGRAM = str(Path(__file__).parent / "programs" / "boto3_story.py")


def check(done: Done, instances: int = 1) -> None:
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.splitlines()
    assert "job Completed ['Starting', 'Downloading', 'Training', 'Uploading', 'Completed']" in said
    assert "metrics ['train:logloss', 'validation:logloss']" in said
    rounds = [found[1] for line in said if (found := re.match(r"log .*\[(\d+)\].*train-logloss:0\.\d+", line))]
    assert rounds == [str(number) for number in range(10)]
    assert any(re.fullmatch(r"model output/story-\d+/output/model\.tar\.gz", line) for line in said)
    assert f"instances {instances}" in said
    assert said[-2:] == ["accuracy True", "left [0, 0, 0]"]


def test_every_aws_address_through_the_proxy(run_client: Callable[..., Done]) -> None:
    check(run_client("dev", "python", PROGRAM))


@pytest.mark.parametrize("instances", [1, 2])
def test_endpoint_url(server: WholeServer, run_client: Callable[..., Done], instances: int) -> None:
    check(run_client("dev", "python", PROGRAM, "--endpoint-url", server.url, "--instances", str(instances)), instances)


def test_another_region(run_client: Callable[..., Done]) -> None:
    check(run_client("dev", "python", PROGRAM, "--region", "eu-central-1"))
