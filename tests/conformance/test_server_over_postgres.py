"""A whole server whose state is in PostgreSQL: the story, a restart, kills, and what PostgreSQL alone would refuse."""

from __future__ import annotations

import http.client
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError

from clary.server import processes
from databases import PostgresServer
from whole_server import WholeServer, wait_until, whole_server

pytestmark = pytest.mark.slow
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
STORY = Path(__file__).parents[1] / "flows" / "programs" / "boto3_story.py"


@pytest.fixture(scope="module")
def server(postgres_server: PostgresServer) -> Iterator[WholeServer]:
    url = postgres_server.fresh()
    with whole_server(database_url=url) as made:
        yield made
    postgres_server.drop(url)


def test_the_story(server: WholeServer) -> None:
    done = server.clary("run", "--", sys.executable, str(STORY))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-2:] == ["accuracy True", "left [0, 0, 0]"]
    assert not list(server.settings.data.glob("*.db*"))


def test_everything_is_there_after_a_restart_and_a_kill(server: WholeServer) -> None:
    s3, logs, iam, sagemaker = (server.client(name) for name in ("s3", "logs", "iam", "sagemaker"))
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="ü/\x01", Body=b"bytes", Metadata={"a": "b"})
    logs.create_log_group(logGroupName="kept", tags={"a": "b"})
    iam.create_user(UserName="kept")
    role = iam.list_roles()["Roles"][0]["Arn"]
    container = {"Image": IMAGE, "ModelDataUrl": "s3://kept/model.tar.gz"}
    sagemaker.create_model(ModelName="kept", ExecutionRoleArn=role, PrimaryContainer=container)

    def look() -> None:
        assert s3.get_object(Bucket="kept", Key="ü/\x01")["Body"].read() == b"bytes"
        assert logs.list_tags_log_group(logGroupName="kept")["tags"] == {"a": "b"}
        assert iam.get_user(UserName="kept")["User"]["UserName"] == "kept"
        assert [each["ModelName"] for each in sagemaker.list_models(NameContains="KEPT")["Models"]] == []
        assert [each["ModelName"] for each in sagemaker.list_models(NameContains="kept")["Models"]] == ["kept"]

    look()
    server.down()
    server.up()
    look()
    control = processes.recorded(server.settings.run / "control.pid")
    assert control is not None
    os.kill(control.pid, signal.SIGKILL)
    wait_until(lambda: not control.lives())
    wait_until(lambda: _answers(s3), what="the control plane did not come back")
    look()


def _answers(s3: Any) -> bool:
    try:
        s3.head_bucket(Bucket="kept")
    except ClientError:  # a request that met the death of the control plane
        return False
    return True


@pytest.mark.parametrize(
    "path",
    [
        "/%00",
        "/kept?uploadId=%00",
        "/kept/key?uploadId=%00",
        "/kept?uploads&upload-id-marker=%00&key-marker=%00",
        "/kept?prefix=%00&delimiter=%00&marker=%00",
        "/?prefix=%00&bucket-region=%00",
        f"/kept?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={quote(chr(0))}%2F20200101%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20200101T000000Z&X-Amz-SignedHeaders=host&X-Amz-Expires=1&X-Amz-Signature=0",
    ],
)
def test_nul_in_a_request_is_no_error_of_the_server(server: WholeServer, path: str) -> None:
    """PostgreSQL's text cannot hold it."""
    session = server.session()
    url = server.url + path
    if "X-Amz-Algorithm" not in path:
        url = _presigned(session, url)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", url.removeprefix(server.url))
    assert connection.getresponse().status < 500
    connection.close()


def _presigned(session: boto3.Session, url: str) -> str:
    request = AWSRequest("GET", url)
    S3SigV4QueryAuth(session.get_credentials(), "s3", "us-east-1").add_auth(request)
    return str(request.url)
