"""The ways to point an unmodified client at the server, and what it meets there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from whole_server import Done, WholeServer

ROLE_SESSION = "arn:aws:sts::123456789012:assumed-role/AmazonSageMaker-ExecutionRole-Clary/SageMaker"
CLARY = f"{sys.executable} -m clary.cli"
WHO = ["sts", "get-caller-identity", "--query", "Arn", "--output", "text"]


def shell(server: WholeServer, script: str, **more: str) -> Done:
    """A shell of a user who has the AWS CLI, without `clary run`."""
    environment = server.client_environment("awscli") | more
    return subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("option", ["", "--root", "--endpoint-url"])
def test_the_exports_of_clary_env(server: WholeServer, option: str) -> None:
    done = shell(server, f'eval "$({CLARY} env {option} --home {server.home})" && aws {" ".join(WHO)}')
    arn = "arn:aws:iam::123456789012:root" if option == "--root" else ROLE_SESSION
    assert (done.stdout, done.stderr) == (f"{arn}\n", "")


def test_a_profile_by_clary_configure_and_its_end(server: WholeServer) -> None:
    config = server.home / "user" / ".aws" / "config"
    own = "[profile own]\nregion = eu-west-1\n"
    shell(server, f"mkdir -p ~/.aws && printf '{own}' >~/.aws/config")
    done = shell(server, f"{CLARY} configure --yes --home {server.home}")
    assert done.returncode == 0, done.stderr
    used = shell(server, f"aws --profile clary {' '.join(WHO)} && aws --profile clary s3 ls")
    assert (used.returncode, used.stdout.splitlines()[0]) == (0, ROLE_SESSION), used.stderr
    assert server.session().get_credentials().secret_key not in config.read_text()
    undone = shell(server, f"{CLARY} configure --undo --home {server.home}")
    assert (undone.returncode, config.read_text()) == (0, own)
    assert "could not be found" in shell(server, f"aws --profile clary {' '.join(WHO)}").stderr


def test_what_an_sdk_reports_of_its_use_comes_here(run_client: Callable[..., Done]) -> None:
    """By requests, which knows no root of botocore's; the address is written down in the SDKs."""
    address = "https://sm-pysdk-t-us-east-1.s3.us-east-1.amazonaws.com/telemetry?x-status=1"
    program = f"import requests; print('NoSuchBucket' in requests.get({address!r}).text)"
    done = run_client("sdk2", "python", "-c", program)
    assert (done.stdout, done.stderr) == ("True\n", "")


@pytest.mark.slow
def test_configure_with_endpoints_brings_the_sdks_home(server: WholeServer) -> None:
    assert shell(server, f"{CLARY} configure --yes --endpoints --home {server.home}").returncode == 0
    program = "import sagemaker; s = sagemaker.Session(); print(s.default_bucket(), sagemaker.get_execution_role(s))"
    environment = server.client_environment("sdk2") | {"AWS_PROFILE": "clary"}
    done = subprocess.run(
        ["python", "-c", program], env=environment, capture_output=True, text=True, timeout=60, cwd=server.home
    )
    assert shell(server, f"{CLARY} configure --undo --home {server.home}").returncode == 0
    bucket, role = done.stdout.splitlines()[-1].split()
    assert bucket == "sagemaker-us-east-1-123456789012"
    assert role.endswith("/AmazonSageMaker-ExecutionRole-Clary")
    assert not (server.home / "user" / ".aws" / "models" / "endpoints.json").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["s3control", "list-access-points", "--account-id", "123456789012"],
            "s3control:ListAccessPoints is not built",
        ),
        pytest.param(["cloudwatch", "list-metrics"], "cloudwatch:ListMetrics is not built", marks=pytest.mark.slow),
        pytest.param(
            ["sagemaker", "list-notebook-instances"],
            "sagemaker:ListNotebookInstances is not built",
            marks=pytest.mark.slow,
        ),
        (["sqs", "list-queues"], "The service 'sqs' is not built"),
        pytest.param(
            ["autoscaling", "describe-tags"], "The service 'autoscaling' is not built", marks=pytest.mark.slow
        ),
    ],
)
def test_what_is_not_built_says_so_at_every_address(
    run_client: Callable[..., Done], words: list[str], said: str
) -> None:
    done = run_client("awscli", "aws", *words)
    assert done.returncode != 0
    assert "NotImplemented" in done.stderr and said in done.stderr


def test_without_a_key_nothing_opens(server: WholeServer) -> None:
    done = shell(server, f"aws --endpoint-url {server.url} s3 ls", AWS_ACCESS_KEY_ID="AKIANOBODY0000000000",
                 AWS_SECRET_ACCESS_KEY="x", AWS_REGION="us-east-1")  # fmt: skip
    assert "InvalidAccessKeyId" in done.stderr


def test_https_on_the_same_port(aws: Callable[..., object], server: WholeServer) -> None:
    plain, secure = (server.client("sts", https=https).get_caller_identity()["Arn"] for https in (False, True))
    assert plain == secure == "arn:aws:iam::123456789012:root"


def test_the_json_of_clary_env_is_an_environment(server: WholeServer) -> None:
    done = server.clary("env", "--json")
    given = json.loads(done.stdout)
    assert given["HTTPS_PROXY"] == server.url
    assert given["AWS_ACCESS_KEY_ID"].startswith("ASIA")
