"""What the code of a job reaches from within: the server, with its role, and nothing else."""

from __future__ import annotations

import json
import socket
import uuid
from typing import Any

import pytest

from api.access.people import allow, role
from flows import scripts
from whole_server import WholeServer

pytestmark = pytest.mark.timeout(300)  # the first job may have to build an environment

BEGIN = """
import json, os, socket, urllib.error, urllib.request
import boto3
from botocore.config import Config

def tell(**found):
    with open(os.environ["SM_MODEL_DIR"] + "/told.json", "w") as file:
        json.dump(found, file)

def code(function, **given):
    try:
        function(**given)
    except Exception as error:
        return getattr(error, "response", {}).get("Error", {}).get("Code", type(error).__name__)
    return "allowed"

def reached(host, port):
    try:
        socket.create_connection((host, port), 5).close()
    except OSError:
        return False
    return True
"""
ACTS = (
    BEGIN
    + """
bucket = os.environ["BUCKET"]
s3 = boto3.client("s3")
s3.put_object(Bucket=bucket, Key="small", Body=b"from within")
large = os.urandom(1 << 20) * 24
s3.upload_fileobj(__import__("io").BytesIO(large), bucket, "large")
whole = s3.get_object(Bucket=bucket, Key="large")["Body"].read() == large
url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "small"})
hosts = boto3.client(
    "s3",
    endpoint_url="https://s3.us-east-1.amazonaws.com",
    config=Config(s3={"addressing_style": "virtual"}),
)
told = []
hosts.meta.events.register("before-send.s3", lambda request, **_: told.append(request.url))
virtual = hosts.get_object(Bucket=bucket, Key="small")["Body"].read().decode()
sts = boto3.client("sts", endpoint_url="https://sts.us-east-1.amazonaws.com")
control = boto3.client("s3control")
tell(
    keys=[each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]],
    whole=whole,
    url=url,
    by_url=urllib.request.urlopen(url).read().decode(),
    virtual=virtual,
    host=told[0],
    who=boto3.client("sts").get_caller_identity()["Arn"],
    by_written_address=sts.get_caller_identity()["Arn"],
    refused=code(s3.delete_object, Bucket=bucket, Key="small"),
    other=code(boto3.client("iam").list_users),
    control=code(control.get_public_access_block, AccountId="123456789012"),
)
"""
)
LOOKS = (
    BEGIN
    + """
proxy = os.environ["HTTPS_PROXY"]
port = int(proxy.rpartition(":")[2])
def asked(line):
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(f"{line} HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n".encode())
        return connection.makefile("rb").readline().split()[1].decode()
other = int(os.environ["OTHER"])
tell(
    own=reached("127.0.0.1", port),
    other=reached("127.0.0.1", other),
    asked=[
        asked(f"CONNECT 127.0.0.1:{other}"),
        asked(f"CONNECT localhost:{port}"),
        asked("CONNECT example.com:443"),
        asked(f"GET http://127.0.0.1:{other}/"),
    ],
)
"""
)
ALONE = (
    BEGIN
    + """
port = int(os.environ["PORT"])
told = [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]
tell(
    told=sorted(told),
    reached=[reached("127.0.0.1", port), reached("169.254.170.2", 80)],
    s3=code(boto3.client("s3").list_buckets),
)
"""
)


def told(server: WholeServer, script: str, **more: Any) -> dict[str, Any]:
    name = f"within-{uuid.uuid4().hex[:8]}"
    variables = {"BUCKET": name, **more.pop("Environment", {})}
    request = {"TrainingJobName": name, "Environment": variables, **more}
    job = scripts.train(server, {"script.py": script}, request=request)
    found: dict[str, Any] = json.loads(scripts.model(server, job)["told.json"])
    return found | {"bucket": name}


def test_a_job_works_with_its_role(server: WholeServer) -> None:
    arn = role(server, allow("s3:ListBucket", "s3:GetObject", "s3:PutObject"))
    found = told(server, ACTS, RoleArn=arn)
    assert found["keys"] == ["code/sourcedir.tar.gz", "files/script.py", "large", "small"]
    assert found["whole"] is True
    assert found["by_url"] == found["virtual"] == "from within"
    assert found["host"].startswith(f"https://{found['bucket']}.s3.")
    assert found["who"] == found["by_written_address"]
    assert f"assumed-role/{arn.rpartition('/')[2]}/" in found["who"]
    assert (found["refused"], found["other"], found["control"]) == ("AccessDenied",) * 3
    assert found["url"].startswith(f"{server.url}/{found['bucket']}/small?")


def test_it_reaches_nothing_else(server: WholeServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        found = told(server, LOOKS, Environment={"OTHER": str(other.getsockname()[1])})
        assert (found["own"], found["other"]) == (True, False)
        assert found["asked"] == ["403"] * 4
        other.settimeout(0)
        with pytest.raises(BlockingIOError):
            other.accept()


def test_an_isolated_job_reaches_nobody(server: WholeServer) -> None:
    found = told(server, ALONE, Environment={"PORT": str(server.port)}, EnableNetworkIsolation=True)
    assert found["told"] == ["AWS_DEFAULT_REGION", "AWS_REGION"]
    assert found["reached"] == [False, False]
    assert found["s3"] == "NoCredentialsError"
