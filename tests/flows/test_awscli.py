"""The whole story with the AWS CLI."""

from __future__ import annotations

import re
import ssl
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.programs import points
from flows.ways import HOSTS, pointed
from whole_server import Done, WholeServer

PROGRAM = Path(__file__).parent / "programs" / "awscli_story.sh"
FILES = PROGRAM.with_name("awscli_files.sh")


@pytest.mark.timeout(180)
def test_the_story(run_client: Callable[..., Done], tmp_path: Path) -> None:
    name, test = f"cli-{uuid.uuid4().hex[:12]}", points.table(100, seed=3)
    (tmp_path / "train.csv").write_text(points.csv(points.table(1000, seed=1)))
    (tmp_path / "test.csv").write_text(points.csv(test, label=False))
    files = [str(tmp_path / file) for file in ("train.csv", "test.csv", "")]
    done = run_client("awscli", "sh", str(PROGRAM), name, *files, timeout=170)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout
    assert said.startswith(f"make_bucket: {name}\n")
    assert "Total Objects: 1" in said
    assert f'"TrainingJobArn": "arn:aws:sagemaker:us-east-1:123456789012:training-job/{name}"' in said
    assert "\nCompleted\n" in said
    assert re.search(r"\[4\]\S*\s*train-logloss:0\.\d+", said)
    assert "\nxgboost-model\n" in said
    assert '"InvokedProductionVariant": "AllTraffic"' in said
    scores = [float(score) for score in (tmp_path / "scores").read_text().split()]
    assert points.accuracy(test, scores) > 0.9
    assert f"remove_bucket: {name}" in said
    assert "NoSuchBucket" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("way", ["http", "https", HOSTS])
def test_folders_streams_and_signed_addresses(
    server: WholeServer, run_client: Callable[..., Done], tmp_path: Path, way: str
) -> None:
    bucket = f"cli-{uuid.uuid4().hex[:12]}"
    options, words = pointed(server, way)
    done = run_client("awscli", *words, "sh", str(FILES), bucket, str(tmp_path), options=options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {"the same came back", "from a pipe"} <= set(done.stdout.splitlines())
    assert [line.split()[-1] for line in done.stdout.splitlines()[-2:]] == ["copy/below/large", "moved"]
    trust = ssl.create_default_context(cafile=str(server.ca)) if way == "https" else None
    with urllib.request.urlopen((tmp_path / "address").read_text().strip(), context=trust) as answer:
        assert answer.read() == b"from a pipe\n"
    left = server.client("s3", kind="resource").Bucket(bucket)
    left.objects.all().delete()
    left.delete()
