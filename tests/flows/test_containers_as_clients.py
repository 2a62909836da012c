"""boto3 in a container of its own: it finds the role of its job, the server, and the certificates that it trusts."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import pytest

from clary.sandbox.engine import Engine
from flows import jobs
from flows.own_images import logged, start
from flows.python_image import PYTHON, python_image
from whole_server import WholeServer

PROGRAM = f"""#!{PYTHON}
import json, os
import boto3

bucket = os.environ["TRAINING_JOB_NAME"]
s3 = boto3.client("s3")
s3.put_object(Bucket=bucket, Key="from/within", Body=b"by the container")
print(json.dumps([
    boto3.client("sts").get_caller_identity()["Arn"],
    s3.get_object(Bucket=bucket, Key="from/within")["Body"].read().decode(),
    boto3.client("s3", region_name="us-east-1", endpoint_url="https://s3.us-east-1.amazonaws.com")
    .head_object(Bucket=bucket, Key="from/within")["ContentLength"],
    [name for name in os.environ if "SECRET" in name or "SESSION_TOKEN" in name],
]))
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def image(podman: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """In the engine: Python with boto3."""
    folder = python_image(tmp_path_factory.mktemp("image"), ["boto3"], {"train": PROGRAM})
    name = f"localhost/clary-test-{uuid.uuid4().hex[:8]}:1"
    podman.fetch("build", "--quiet", "--ulimit", "nofile=4096:4096", "--tag", name, str(folder))
    yield name
    podman.ask("rmi", "--force", name)


def test_a_container_is_its_role(server: WholeServer, image: str) -> None:
    job = start(server, image)
    done = jobs.ended(server, job)
    assert done["TrainingJobStatus"] == "Completed", (done.get("FailureReason"), logged(server, job))
    who, text, length, secrets = json.loads(logged(server, job)[-1])
    assert who.startswith(f"arn:aws:sts::123456789012:assumed-role/{jobs.ROLE.rpartition('/')[2]}/")
    assert (text, length, secrets) == ("by the container", len("by the container"), [])
    kept = server.client("s3").get_object(Bucket=job, Key="from/within")["Body"].read()
    assert kept == b"by the container"
