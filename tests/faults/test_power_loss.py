"""The power goes at the moment at which a change is acknowledged: everything that was not synced is lost, files' bytes
as well as their names. The change is there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from api.s3.conftest import Storage, serving
from clary.context import Platform
from clary.store import records

from . import work
from .machine import Machine
from .power import Power

BUCKET = "power"
SMALL, MIDDLE, LARGE = (os.urandom(size) for size in (100, 100_000, 9 << 20))


@dataclass(frozen=True, slots=True)
class After:
    """What is found after the loss."""

    s3: Any
    platform: Platform

    def body(self, key: str, **which: str) -> bytes:
        return bytes(self.s3.get_object(Bucket=BUCKET, Key=key, **which)["Body"].read())

    def has(self, key: str, **which: str) -> bool:
        try:
            self.s3.head_object(Bucket=BUCKET, Key=key, **which)
        except ClientError as error:
            assert error.response["Error"]["Code"] in ("404", "405")
            return False
        return True

    def record(self, kind: str, name: str) -> records.Record | None:
        settings = self.platform.settings
        return self.platform.stores.records.read(
            lambda connection: records.find(connection, kind, settings.account, settings.region, name)
        )


Check = Callable[[After], bool]
Story = Callable[[Machine], Iterator[Check]]


def puts(server: Machine) -> Iterator[Check]:
    """As rows, as files that the control plane writes, and as files that an edge does."""
    s3, secure = server.client("s3"), server.client("s3", https=True)
    s3.create_bucket(Bucket=BUCKET)
    yield lambda after: bool(after.s3.head_bucket(Bucket=BUCKET))
    for key, body in (("small", SMALL), ("middle", MIDDLE), ("large", LARGE)):
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        yield lambda after, key=key, body=body: after.body(key) == body  # type: ignore[misc] # mypy does not see defaults
    secure.put_object(Bucket=BUCKET, Key="secure", Body=LARGE)
    yield lambda after: after.body("secure") == LARGE
    s3.put_object(Bucket=BUCKET, Key="middle", Body=MIDDLE[::-1])
    yield lambda after: after.body("middle") == MIDDLE[::-1]
    s3.put_object(Bucket=BUCKET, Key="sealed", Body=MIDDLE, ServerSideEncryption="AES256")
    yield lambda after: after.body("sealed") == MIDDLE
    s3.copy_object(Bucket=BUCKET, Key="copy", CopySource=f"{BUCKET}/large")
    yield lambda after: after.body("copy") == LARGE
    s3.put_object_tagging(Bucket=BUCKET, Key="copy", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    yield lambda after: after.s3.get_object_tagging(Bucket=BUCKET, Key="copy")["TagSet"] == [{"Key": "a", "Value": "b"}]


def parts(server: Machine) -> Iterator[Check]:
    s3, this = server.client("s3"), {"Bucket": BUCKET, "Key": "parts"}
    s3.create_bucket(Bucket=BUCKET)
    this["UploadId"] = s3.create_multipart_upload(**this)["UploadId"]
    yield lambda after: after.s3.list_parts(**this)["UploadId"] == this["UploadId"]
    sent = []
    for number, body in enumerate((LARGE, SMALL), 1):
        sent.append({"PartNumber": number, "ETag": s3.upload_part(**this, PartNumber=number, Body=body)["ETag"]})
        yield lambda after, number=number: len(after.s3.list_parts(**this)["Parts"]) == number  # type: ignore[misc] # mypy does not see defaults
    s3.complete_multipart_upload(**this, MultipartUpload={"Parts": sent})
    yield lambda after: after.body("parts") == LARGE + SMALL
    s3.delete_object(Bucket=BUCKET, Key="parts")
    yield lambda after: not after.has("parts")


def deletes(server: Machine) -> Iterator[Check]:
    s3 = server.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    for key, body in (("small", SMALL), ("middle", MIDDLE), ("large", LARGE)):
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    for key in ("small", "middle"):
        s3.delete_object(Bucket=BUCKET, Key=key)
        yield lambda after, key=key: not after.has(key) and after.body("large") == LARGE  # type: ignore[misc] # mypy does not see defaults
    s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "large"}]})
    yield lambda after: not after.has("large")


def versions(server: Machine) -> Iterator[Check]:
    s3 = server.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    yield lambda after: after.s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    old = s3.put_object(Bucket=BUCKET, Key="k", Body=LARGE)["VersionId"]
    yield lambda after: after.body("k", VersionId=old) == LARGE
    new = s3.put_object(Bucket=BUCKET, Key="k", Body=MIDDLE)["VersionId"]
    yield lambda after: (after.body("k"), after.body("k", VersionId=old)) == (MIDDLE, LARGE)
    s3.delete_object(Bucket=BUCKET, Key="k")
    yield lambda after: not after.has("k") and after.body("k", VersionId=new) == MIDDLE
    s3.delete_object(Bucket=BUCKET, Key="k", VersionId=old)
    yield lambda after: not after.has("k", VersionId=old) and after.body("k", VersionId=new) == MIDDLE


def resources(server: Machine) -> Iterator[Check]:
    """Of other services; of a job that it was taken: its run is another matter."""
    sagemaker, iam, kms = map(server.client, ("sagemaker", "iam", "kms"))
    container = {"Image": work.IMAGE, "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz"}
    sagemaker.create_model(ModelName="m", ExecutionRoleArn=work.ROLE, PrimaryContainer=container)
    yield lambda after: after.record("model", "m") is not None
    sagemaker.create_training_job(**work.training_job("job"))
    yield lambda after: after.record("training-job", "job") is not None
    sagemaker.delete_model(ModelName="m")
    yield lambda after: after.record("model", "m") is None
    arn = iam.create_user(UserName="someone")["User"]["Arn"]
    yield lambda after, arn=arn: _arns(after, arn)  # type: ignore[misc] # mypy does not see defaults
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    yield lambda after: _arns(after, arn)


def _arns(after: After, arn: str) -> bool:
    return after.platform.stores.records.read(lambda connection: records.by_arn(connection, arn)) is not None


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[tuple[Machine, Power]]:
    with tempfile.TemporaryDirectory(prefix="clary-power-") as folder:
        power = Power(Path(folder, "home"), tmp_path)
        machine = Machine(Path(folder, "home"), power.environment)
        try:
            machine.up()
            yield machine, power
        finally:
            machine.end()


@pytest.mark.parametrize(
    "story", [puts, *(pytest.param(each, marks=pytest.mark.slow) for each in (parts, deletes, versions, resources))]
)
def test_what_is_acknowledged_outlives_the_power(story: Story, machine: tuple[Machine, Power]) -> None:
    server, power = machine
    found = [(check, lost(server, power)) for check in story(server)]
    assert found
    for number, (check, home) in enumerate(found, 1):
        for file in (home / "data").iterdir():  # where `serving` has them
            file.rename(home / file.name)
        with serving(home, Storage(lambda: "", None)) as made:
            keys = {"aws_access_key_id": "MAIN", "aws_secret_access_key": "secret"}
            s3 = boto3.client("s3", "us-east-1", endpoint_url=made.url, **keys)
            assert check(After(s3, made.platform)), f"what step {number} of {story.__name__} acknowledged is not there"


def lost(server: Machine, power: Power) -> Path:
    """As `Power.lost`, while nothing syncs."""
    pid = server.pid("control")
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        return power.lost()
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_server_starts_on_what_is_left(machine: tuple[Machine, Power]) -> None:
    """A whole one, with the keys that the first one gave out."""
    server, power = machine
    for _ in puts(server):
        pass
    keys = server.keys()
    after = Machine(lost(server, power))
    try:
        after.up()
        assert after.keys() == keys
        assert after.clary("doctor", "--deep").returncode == 0
        assert after.aws("s3").get_object(Bucket=BUCKET, Key="large")["Body"].read() == LARGE
    finally:
        after.end()


@pytest.mark.parametrize(
    ("syncs", "kept"),
    [
        ("", {}),
        ("sync(file)", {}),
        ("sync(folder)", {"file": b""}),
        ("sync(file), sync(folder)", {"file": b"written"}),
        ("sync(folder), sync(file), os.write(file, b' and more')", {"file": b"written"}),
        ("sync(file), sync(folder), os.rename('file', 'other')", {"file": b"written"}),
        ("sync(file), os.rename('file', 'other'), sync(folder)", {"other": b"written"}),
        ("sync(file), sync(folder), os.unlink('file')", {"file": b"written"}),
    ],
)
@pytest.mark.parametrize("sync", ["os.fsync", "os.fdatasync"])
def test_what_is_not_synced_is_lost(tmp_path: Path, sync: str, syncs: str, kept: dict[str, bytes]) -> None:
    """The measure itself."""
    home = tmp_path / "home"
    home.mkdir()
    power = Power(home, tmp_path)
    program = (
        f"import os; sync = {sync}; file = os.open('file', os.O_RDWR | os.O_CREAT); os.write(file, b'written'); "
        f"folder = os.open('.', os.O_RDONLY); {syncs}"
    )
    subprocess.run([sys.executable, "-c", program], cwd=home, env=os.environ | power.environment, check=True)
    assert {path.name: path.read_bytes() for path in power.lost().iterdir()} == kept
