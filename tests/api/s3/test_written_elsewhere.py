"""What agents write past the server, into the store that keeps the objects' bytes: by their own client, and by hand,
with each of its steps repeated, left out, or too late."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import http.client
import os
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from api.s3.conftest import Storage
from api.s3.faults import refused
from api.s3.kept import Kept
from clary.agent import elsewhere as past_the_server
from clary.agent import s3 as agents
from clary.agent.refusals import S3Error
from clary.agent.s3 import S3
from clary.contract.instance import Credentials
from clary.objects.base import Lent
from clary.objects.remote.place import Place
from clary.objects.remote.store import RemoteStore
from clary.services.s3 import lending, loans, sweep
from clary.services.s3.loans import Loan
from clary.store.objects_schema import objects, parts
from clary.testing.frozen_clock import FrozenClock
from whole_server import wait_until

SIZE = 1 << 20  # the least for which an agent does it


@pytest.fixture(scope="module")
def storage(database_urls: Callable[[], str], elsewhere: Callable[[], Place]) -> Storage:
    return Storage(database_urls, elsewhere())


def client(server: SimpleNamespace, key: str = "AGENT") -> S3:
    credentials = Credentials(key, "secret", "", float("inf"))
    return S3(lambda: server.url, "us-east-1", lambda _: credentials, lambda: True)


class Step:
    """The requests of one object or part, one at a time."""

    def __init__(self, server: SimpleNamespace, bucket: str, data: bytes, **query: str) -> None:
        self.data, self._query, self._bucket = data, query, bucket
        self._agent = client(server)
        self._proof = {"content-md5": base64.b64encode(hashlib.md5(data).digest()).decode()}

    def ask(self, extra: dict[str, str], key: str = "k", agent: S3 | None = None) -> http.client.HTTPResponse:
        asking = agent or self._agent
        return asking.whole("PUT", self._bucket, key, self._query, extra={**self._proof, **extra})[0]

    def lend(self, agent: S3 | None = None) -> Lent | None:
        said = self.ask({"x-clary-lend": str(len(self.data))}, agent=agent)
        assert said.status == 307
        name, place = said.getheader("x-clary-lent"), said.getheader("Location")
        assert bool(name) is bool(place)
        return Lent(name, place) if name and place else None

    def lent(self) -> Lent:
        found = self.lend()
        assert found is not None
        return found

    def write(self, lent: Lent, data: bytes | None = None, **headers: str) -> int:
        body = self.data if data is None else data
        sent = {**self._proof, "if-none-match": "*", "content-length": str(len(body)), **headers}
        return past_the_server.ask("PUT", lent.url, sent, "", iter([body])).status

    def enter(self, lent: Lent, **given: Any) -> http.client.HTTPResponse:
        return self.ask({"x-clary-lent": lent.blob}, **given)

    def written(self) -> Lent:
        found = self.lent()
        assert self.write(found) == 200
        return found


def refusal(work: Callable[[], Any]) -> str:
    with pytest.raises(S3Error) as caught:
        work()
    return caught.value.code


def loan_of(server: SimpleNamespace, blob: str) -> Loan | None:
    def work(connection: Connection) -> Loan | None:
        return loans.find(connection, blob)

    found: Loan | None = server.platform.stores.objects.read(work)
    return found


def blob_of(server: SimpleNamespace, bucket: str, key: str) -> str:
    wanted = sa.select(objects.c.blob).where(objects.c.bucket == bucket, objects.c.key == key.encode())
    return str(server.platform.stores.objects.read(lambda connection: connection.scalar(wanted)))


def sweep_late(server: SimpleNamespace) -> int:
    """The round of loans, two hours on."""
    late = FrozenClock(server.platform.clock.now() + 7200)
    return lending.sweep(dataclasses.replace(server.platform, clock=late))


def test_an_agent_writes_past_the_server(server: SimpleNamespace, s3: Any, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(data := os.urandom(SIZE))
    client(server).upload(tmp_path / "file", bucket, "k")
    loan = loan_of(server, blob_of(server, bucket, "k"))
    assert loan is not None and loan.answer == {}
    got = s3.get_object(Bucket=bucket, Key="k")
    assert (got["Body"].read(), got["ETag"]) == (data, f'"{hashlib.md5(data).hexdigest()}"')
    (tmp_path / "few").write_bytes(b"x" * 20_000)
    client(server).upload(tmp_path / "few", bucket, "few")
    assert loan_of(server, blob_of(server, bucket, "few")) is None


def test_large_files_go_there_in_parts(
    server: SimpleNamespace, s3: Any, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents, "_PART", 5 << 20)
    (tmp_path / "file").write_bytes(data := os.urandom((11 << 20) + 5))
    client(server).upload(tmp_path / "file", bucket, "k")
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == data
    assert got["ETag"].endswith('-3"')
    wanted = sa.select(parts.c.blob).where(parts.c.upload == upload_of(server, bucket))
    named = server.platform.stores.objects.read(lambda connection: connection.scalars(wanted).all())
    assert [loan_of(server, blob) is not None for blob in named] == [True, True, True]


def upload_of(server: SimpleNamespace, bucket: str) -> str:
    wanted = sa.select(objects.c.upload).where(objects.c.bucket == bucket)
    return str(server.platform.stores.objects.read(lambda connection: connection.scalar(wanted)))


def test_who_asks_again_is_told_the_same(server: SimpleNamespace, s3: Any, bucket: str, kept: Kept) -> None:
    """At once, after the object was replaced, and after it was deleted: never a second version, never a lost byte."""
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    step = Step(server, bucket, os.urandom(SIZE))
    lent = step.written()
    first = step.enter(lent)
    told = (first.getheader("ETag"), first.getheader("x-amz-version-id"))
    assert told[1]
    for change in (None, partial(s3.put_object, Body=b"newer"), s3.delete_object):
        before = s3.list_object_versions(Bucket=bucket)
        if change:
            change(Bucket=bucket, Key="k")
            before = s3.list_object_versions(Bucket=bucket)
        again = step.enter(lent)
        assert (again.getheader("ETag"), again.getheader("x-amz-version-id")) == told
        after = s3.list_object_versions(Bucket=bucket)
        assert [after.get(each) for each in ("Versions", "DeleteMarkers")] == [
            before.get(each) for each in ("Versions", "DeleteMarkers")
        ]
    assert s3.get_object(Bucket=bucket, Key="k", VersionId=told[1])["Body"].read() == step.data
    s3.delete_object(Bucket=bucket, Key="k", VersionId=told[1])
    wait_until(lambda: lent.blob not in kept.names(), 60, what="the bytes of a deleted version stay")
    assert step.enter(lent).getheader("x-amz-version-id") == told[1]


def test_a_part_that_is_entered_again_is_not_freed(server: SimpleNamespace, s3: Any, bucket: str, kept: Kept) -> None:
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    step = Step(server, bucket, os.urandom(SIZE), uploadId=upload, partNumber="1")
    lent = step.written()
    tags = {step.enter(lent).getheader("ETag") for _ in range(3)}
    (tag,) = tags
    s3.complete_multipart_upload(
        Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]}
    )
    assert refusal(lambda: step.enter(lent)) == "NoSuchUpload"
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == step.data
    assert lent.blob in kept.names()


def test_of_many_at_once_one_enters_it(server: SimpleNamespace, s3: Any, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    step = Step(server, bucket, os.urandom(SIZE))
    lent = step.written()
    with ThreadPoolExecutor(8) as pool:
        told = set(pool.map(lambda _: step.enter(lent).getheader("x-amz-version-id"), range(8)))
    assert len(told) == 1
    assert len(s3.list_object_versions(Bucket=bucket)["Versions"]) == 1
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == step.data


def test_nothing_is_entered_that_did_not_come(server: SimpleNamespace, s3: Any, bucket: str) -> None:
    step, other = Step(server, bucket, os.urandom(SIZE)), Step(server, bucket, os.urandom(SIZE))
    lent = step.lent()
    assert refusal(lambda: step.enter(lent)) == "NoSuchLoan"
    assert step.write(lent, other.data) == 400
    assert step.write(lent, other.data, **other._proof) == 403
    assert refusal(lambda: step.enter(lent)) == "NoSuchLoan"
    assert step.write(lent) == 200
    assert step.write(lent) == 412
    assert refusal(lambda: step.enter(lent, key="another")) == "NoSuchLoan"
    assert refusal(lambda: other.enter(lent)) == "NoSuchLoan"
    assert step.enter(lent).status == 200
    with refused("NoSuchKey", 404):
        s3.get_object(Bucket=bucket, Key="another")


def test_only_agents_that_may_write_are_lent_anything(server: SimpleNamespace, bucket: str) -> None:
    step = Step(server, bucket, os.urandom(SIZE))
    assert refusal(lambda: step.lend(client(server, "MAIN"))) == "BadDigest"
    assert refusal(lambda: step.lend(client(server, "ALT-AGENT"))) == "AccessDenied"
    lent = step.written()
    assert refusal(lambda: step.enter(lent, agent=client(server, "MAIN"))) == "BadDigest"
    assert refusal(lambda: step.enter(lent, agent=client(server, "ALT-AGENT"))) == "AccessDenied"
    assert step.enter(lent).status == 200


def test_what_is_encrypted_comes_to_the_server(
    server: SimpleNamespace, s3: Any, bucket: str, tmp_path: Path, kept: Kept
) -> None:
    """Also when its bucket began to encrypt after the loan."""
    step = Step(server, bucket, os.urandom(SIZE))
    early = step.written()
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert refusal(lambda: step.enter(early)) == "NoSuchLoan"
    assert step.lend() is None
    before = kept.names()
    (tmp_path / "file").write_bytes(step.data)
    client(server).upload(tmp_path / "file", bucket, "k")
    head = s3.head_object(Bucket=bucket, Key="k")
    assert (head["ServerSideEncryption"], head["ContentLength"]) == ("AES256", SIZE)
    assert kept.names() - before == {blob_of(server, bucket, "k")}
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    assert Step(server, bucket, step.data, uploadId=upload, partNumber="1").lend() is None


def test_an_upload_with_checksums_of_another_kind_comes_to_the_server(
    server: SimpleNamespace, s3: Any, bucket: str
) -> None:
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm="CRC32")["UploadId"]
    step = Step(server, bucket, os.urandom(SIZE), uploadId=upload, partNumber="1")
    assert refusal(step.lend) == "InvalidRequest"
    step = Step(server, bucket, os.urandom(SIZE))
    assert refusal(lambda: step.ask({"x-clary-lend": str(6 << 30)})) == "EntityTooLarge"
    assert Step(server, bucket, b"few").lend() is None


def test_rounds_and_sweeps_take_what_nobody_entered_and_nothing_else(
    server: SimpleNamespace, s3: Any, bucket: str, kept: Kept
) -> None:
    """An agent that ended after each of the three steps."""
    steps = [Step(server, bucket, os.urandom(SIZE)) for _ in range(3)]
    lent = [steps[0].lent(), steps[1].written(), steps[2].written()]
    steps[2].enter(lent[2])
    sweep.sweep(server.platform.objects, server.platform.stores.objects, grace=-60)
    assert lending.sweep(server.platform) == 0
    assert {each.blob for each in lent[1:]} <= kept.names()
    assert sweep_late(server) >= 2
    wait_until(lambda: lent[1].blob not in kept.names(), 60, what="the bytes of a loan stay")
    assert refusal(lambda: steps[1].enter(lent[1])) == "NoSuchLoan"
    assert refusal(lambda: steps[2].enter(lent[2])) == "NoSuchLoan"
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == steps[2].data
    assert steps[0].write(lent[0]) == 200  # too late: a leftover
    assert sweep.sweep(server.platform.objects, server.platform.stores.objects, grace=-60) >= 1
    wait_until(lambda: lent[0].blob not in kept.names(), 60, what="a leftover stays")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == steps[2].data


def test_a_refused_entry_leaves_the_bytes_to_the_rounds(
    server: SimpleNamespace, s3: Any, bucket: str, kept: Kept
) -> None:
    step = Step(server, bucket, os.urandom(SIZE))
    lent = step.written()
    s3.delete_bucket(Bucket=bucket)
    assert refusal(lambda: step.enter(lent)) == "NoSuchBucket"
    s3.create_bucket(Bucket=bucket)
    assert step.enter(lent).status == 200
    assert sweep_late(server) == 0
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == step.data


def test_an_agent_that_cannot_reach_the_store_writes_through_the_server(
    server: SimpleNamespace, s3: Any, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = Lent(secrets.token_hex(16), "http://127.0.0.1:1/?nobody")
    monkeypatch.setattr(RemoteStore, "lend", lambda *_: nowhere)
    (tmp_path / "file").write_bytes(data := os.urandom(SIZE))
    agent = client(server)
    for key in ("a", "b"):
        agent.upload(tmp_path / "file", bucket, key)
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == data
