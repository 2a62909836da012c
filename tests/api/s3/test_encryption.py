"""Encrypted objects: what is asked is told, nothing of the plaintext is on the disk, and no damage is served."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
import sqlalchemy as sa
from botocore.exceptions import IncompleteReadError, ResponseStreamingError
from sqlalchemy.engine import Connection

from api.port import port
from api.s3.conftest import MAIN, Storage, answering, build, serving_with_kms
from api.s3.damaging import flipped
from api.s3.faults import refused
from api.s3.kept import Kept
from clary.objects.encryption import FRAME, HEAD, TAG
from clary.services.s3 import reader
from clary.services.s3.writing import SMALL
from clary.store.objects_schema import contents

CUSTOMER_KEY, OTHER_KEY = os.urandom(32), os.urandom(32)
CUSTOMER = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": CUSTOMER_KEY}
OTHER = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": OTHER_KEY}
BY_HAND = {  # as a client without boto3's help sends it
    "SSECustomerAlgorithm": "AES256",
    "SSECustomerKey": base64.b64encode(CUSTOMER_KEY).decode(),
    "SSECustomerKeyMD5": base64.b64encode(hashlib.md5(CUSTOMER_KEY, usedforsecurity=False).digest()).decode(),
}
SSE_S3 = {"ServerSideEncryption": "AES256"}
SSE_KMS = {"ServerSideEncryption": "aws:kms"}
MARK = b"never in the clear on any disk! "
PART = 5 << 20
Members = dict[str, Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, storage: Storage) -> Iterator[SimpleNamespace]:
    with serving_with_kms(tmp_path_factory.mktemp("home"), storage) as made:
        yield made


@pytest.fixture(params=[SSE_S3, SSE_KMS, CUSTOMER], ids=["s3", "kms", "customer"])
def way(request: pytest.FixtureRequest) -> Members:
    return dict(request.param)


def reading(way: Members) -> Members:
    """What a reader has to send."""
    return way if "SSECustomerKey" in way else {}


def text(size: int) -> bytes:
    return (MARK * (size // len(MARK) + 1))[:size]


def in_the_clear(server: SimpleNamespace) -> set[str]:
    """The names of files and blobs that hold the mark."""
    files, kept = (path for path in server.platform.settings.home.rglob("*") if path.is_file()), Kept(server)
    found = {path.name for path in files if MARK in path.read_bytes()}
    return found | {name for name in kept.names() if MARK in kept.read(name)}


def put(kept: Kept, s3: Any, bucket: str, key: str, body: bytes, **way: Any) -> str:
    """The blob that its bytes are in."""
    before = kept.names()
    s3.put_object(Bucket=bucket, Key=key, Body=body, **way)
    (blob,) = kept.names() - before
    return blob


@contextmanager
def another_server(home: Path, **settings: Any) -> Iterator[tuple[SimpleNamespace, Any]]:
    """With a client of it."""
    platform = build(home)
    platform = dataclasses.replace(platform, settings=dataclasses.replace(platform.settings, **settings))
    with port(answering(platform)) as url:
        session = boto3.Session("MAIN", "secret", region_name="us-east-1")
        yield SimpleNamespace(url=url, platform=platform, place=None), session.client("s3", endpoint_url=url)
    platform.stores.objects.close()


def test_the_mark_is_found_where_nothing_is_encrypted(tmp_path: Path) -> None:
    with another_server(tmp_path) as (server, s3):
        s3.create_bucket(Bucket="plain")
        s3.put_object(Bucket="plain", Key="small", Body=text(100))
        assert len(in_the_clear(server)) == 1
        s3.put_object(Bucket="plain", Key="large", Body=text(SMALL + 1))
        assert len(in_the_clear(server)) == 2


def test_a_server_that_encrypts_everything(tmp_path: Path) -> None:
    with another_server(tmp_path, encrypt_objects=1) as (server, s3):
        s3.create_bucket(Bucket="everything")
        rules = s3.get_bucket_encryption(Bucket="everything")["ServerSideEncryptionConfiguration"]["Rules"]
        assert rules[0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
        for key, size in (("small", 100), ("large", 3 * FRAME)):
            assert s3.put_object(Bucket="everything", Key=key, Body=text(size))["ServerSideEncryption"] == "AES256"
            assert s3.get_object(Bucket="everything", Key=key)["Body"].read() == text(size)
        reader.put_object(server.platform, MAIN, "everything", "inside", text(50))
        assert b"".join(reader.open_object(server.platform, MAIN, "everything", "inside")[2]) == text(50)
        assert in_the_clear(server) == set()


@pytest.mark.parametrize("size", [0, 1, SMALL, SMALL + 1, FRAME, 3 * FRAME + 5, (9 << 20) + 7])
def test_what_was_put_comes_back(server: SimpleNamespace, s3: Any, bucket: str, way: Members, size: int) -> None:
    body = text(size)
    written = s3.put_object(Bucket=bucket, Key="k", Body=body, **way)
    answer = s3.get_object(Bucket=bucket, Key="k", **reading(way))
    assert (answer["Body"].read(), answer["ContentLength"]) == (body, size)
    head = s3.head_object(Bucket=bucket, Key="k", **reading(way))
    plain = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
    for told in (written, answer, head):
        assert told["ETag"] == written["ETag"]
        assert (told["ETag"] == plain) == (way == SSE_S3)
        assert told.get("ServerSideEncryption") == way.get("ServerSideEncryption")
        assert told.get("SSECustomerAlgorithm") == way.get("SSECustomerAlgorithm")
        assert ("SSEKMSKeyId" in told) == (way == SSE_KMS)
    assert in_the_clear(server) == set()


@pytest.mark.parametrize("size", [1000, 3 * FRAME + 5])
def test_ranges(s3: Any, bucket: str, way: Members, size: int) -> None:
    body = os.urandom(size)
    s3.put_object(Bucket=bucket, Key="k", Body=body, **way)
    for first, last in ((0, 0), (10, 500), (size - 1, size - 1), (size // 2, size - 1)):
        answer = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={first}-{last}", **reading(way))
        assert answer["Body"].read() == body[first : last + 1]


def test_a_range_does_not_read_other_frames(kept: Kept, s3: Any, bucket: str) -> None:
    body = os.urandom(20 * FRAME)
    blob = put(kept, s3, bucket, "k", body, **SSE_S3)
    kept.write(blob, flipped(kept.read(blob), HEAD + 10 * (FRAME + TAG)))
    answer = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={19 * FRAME}-{20 * FRAME - 1}")
    assert answer["Body"].read() == body[19 * FRAME :]


def test_uploads_in_parts(server: SimpleNamespace, s3: Any, bucket: str, way: Members) -> None:
    parts = [text(PART), text(PART), text(100)]
    key = reading(way)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", **way)
    assert upload.get("ServerSideEncryption") == way.get("ServerSideEncryption")
    this = {"Bucket": bucket, "Key": "k", "UploadId": upload["UploadId"]}
    sent = [s3.upload_part(**this, PartNumber=at, Body=part, **key) for at, part in enumerate(parts[:2], 1)]
    s3.put_object(Bucket=bucket, Key="source", Body=parts[2], **OTHER)
    source = {f"CopySource{name}": value for name, value in OTHER.items()}
    last = s3.upload_part_copy(**this, PartNumber=3, CopySource=f"{bucket}/source", **key, **source)
    tags = [*(each["ETag"] for each in sent), last["CopyPartResult"]["ETag"]]
    listed = {"Parts": [{"PartNumber": at, "ETag": tag} for at, tag in enumerate(tags, 1)]}
    done = s3.complete_multipart_upload(**this, MultipartUpload=listed)
    for answer in (*sent, last, done):
        assert answer.get("ServerSideEncryption") == way.get("ServerSideEncryption")
    whole = b"".join(parts)
    answer = s3.get_object(Bucket=bucket, Key="k", **key)
    assert answer["Body"].read() == whole
    across = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={PART - 10}-{2 * PART + 10}", **key)
    assert across["Body"].read() == whole[PART - 10 : 2 * PART + 11]
    assert in_the_clear(server) == set()


def test_copies(s3: Any, bucket: str, way: Members) -> None:
    body = os.urandom(2 * FRAME)
    s3.put_object(Bucket=bucket, Key="from", Body=body, **way)
    source = {f"CopySource{name}": value for name, value in reading(way).items()}
    for target in ({}, SSE_S3, SSE_KMS, OTHER):
        s3.copy_object(Bucket=bucket, Key="to", CopySource=f"{bucket}/from", **source, **target)
        answer = s3.get_object(Bucket=bucket, Key="to", **reading(target))
        assert answer["Body"].read() == body
        assert answer.get("ServerSideEncryption") == target.get("ServerSideEncryption")


def test_a_copy_onto_itself_encrypts(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"bytes")
    s3.copy_object(Bucket=bucket, Key="k", CopySource=f"{bucket}/k", **SSE_S3)
    answer = s3.get_object(Bucket=bucket, Key="k")
    assert (answer["Body"].read(), answer["ServerSideEncryption"]) == (b"bytes", "AES256")


def test_versions_keep_their_keys(s3: Any, bucket: str, way: Members) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    old = s3.put_object(Bucket=bucket, Key="k", Body=b"old", **way)["VersionId"]
    new = s3.put_object(Bucket=bucket, Key="k", Body=b"new", **SSE_S3)["VersionId"]
    assert s3.get_object(Bucket=bucket, Key="k", VersionId=old, **reading(way))["Body"].read() == b"old"
    s3.delete_object(Bucket=bucket, Key="k", VersionId=new)
    assert s3.get_object(Bucket=bucket, Key="k", **reading(way))["Body"].read() == b"old"


def test_what_a_bucket_is_set_to(s3: Any, bucket: str) -> None:
    absent = "ServerSideEncryptionConfigurationNotFoundError"
    with refused(absent, 404):
        s3.get_bucket_encryption(Bucket=bucket)
    for algorithm in ("AES256", "aws:kms"):
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm}, "BucketKeyEnabled": True}
        s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
        told = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
        assert told["Rules"] == [rule]
        assert s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ServerSideEncryption"] == algorithm
        assert s3.create_multipart_upload(Bucket=bucket, Key="k")["ServerSideEncryption"] == algorithm
        assert s3.get_object(Bucket=bucket, Key="k").get("BucketKeyEnabled", False) == (algorithm == "aws:kms")
    assert s3.put_object(Bucket=bucket, Key="k", Body=b"x", **SSE_S3)["ServerSideEncryption"] == "AES256"
    s3.delete_bucket_encryption(Bucket=bucket)
    with refused(absent, 404):
        s3.get_bucket_encryption(Bucket=bucket)
    assert "ServerSideEncryption" not in s3.put_object(Bucket=bucket, Key="k", Body=b"x")


def test_a_bucket_that_takes_no_keys_of_clients(s3: Any, bucket: str) -> None:
    def block(*types: str) -> None:
        applied = {"SSEAlgorithm": "AES256"}
        rule = {"ApplyServerSideEncryptionByDefault": applied, "BlockedEncryptionTypes": {"EncryptionType": [*types]}}
        s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
        told = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
        assert told["BlockedEncryptionTypes"] == {"EncryptionType": [*types]}

    k = {"Bucket": bucket, "Key": "k"}
    s3.put_object(**k, Body=b"before", **CUSTOMER)
    block("SSE-C")
    for work, given in (
        (s3.put_object, {"Body": b"x"}),
        (s3.create_multipart_upload, {}),
        (s3.copy_object, {"CopySource": f"{bucket}/plain"}),
    ):
        s3.put_object(Bucket=bucket, Key="plain", Body=b"x")
        with refused("AccessDenied", 403):
            work(**k, **given, **CUSTOMER)
    assert s3.get_object(**k, **CUSTOMER)["Body"].read() == b"before"
    block("NONE")
    s3.put_object(**k, Body=b"after", **CUSTOMER)
    with refused("MalformedXML", 400):
        block("SSE-C", "NONE")


@pytest.mark.parametrize(
    ("applied", "code", "status"),
    [
        ({"SSEAlgorithm": "ROT13"}, "MalformedXML", 400),
        ({"SSEAlgorithm": "AES256", "KMSMasterKeyID": "k"}, "InvalidArgument", 400),
        ({"SSEAlgorithm": "aws:kms:dsse"}, "NotImplemented", 501),
    ],
)
def test_what_a_bucket_cannot_be_set_to(s3: Any, bucket: str, applied: Members, code: str, status: int) -> None:
    rules = [{"ApplyServerSideEncryptionByDefault": applied}]
    with refused(code, status):
        s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": rules})


def frames_swapped(data: bytes) -> bytes:
    frame = FRAME + TAG
    first, second = data[HEAD : HEAD + frame], data[HEAD + frame : HEAD + 2 * frame]
    return data[:HEAD] + second + first + data[HEAD + 2 * frame :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "head": lambda data: flipped(data, 6),
    "first frame": lambda data: flipped(data, HEAD + 100),
    "swapped": frames_swapped,
    "cut": lambda data: data[: HEAD + 3 * (FRAME + TAG)],
    "lengthened": lambda data: data + b"x",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_in_the_beginning_is_an_error(
    kept: Kept, s3: Any, bucket: str, way: Members, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    blob = put(kept, s3, bucket, "k", os.urandom(4 * FRAME), **way)
    kept.write(blob, DAMAGES[damage](kept.read(blob)))
    with refused("InternalFailure", 500):
        s3.get_object(Bucket=bucket, Key="k", **reading(way))
    assert "Damaged" in caplog.text
    with refused("InternalFailure", 500):
        source = {f"CopySource{name}": value for name, value in reading(way).items()}
        s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k", **source)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_damage_further_on_breaks_the_answer_off(kept: Kept, s3: Any, bucket: str) -> None:
    body = os.urandom(12 * FRAME)
    blob = put(kept, s3, bucket, "k", body, **SSE_S3)
    kept.write(blob, flipped(kept.read(blob), HEAD + 9 * (FRAME + TAG) + 9))
    answer, came = s3.get_object(Bucket=bucket, Key="k")["Body"], b""
    with pytest.raises((ResponseStreamingError, IncompleteReadError)):
        while piece := answer.read(FRAME):
            came += piece
    assert len(came) <= 9 * FRAME
    assert body.startswith(came)


def test_another_objects_bytes_are_not_taken_for_it(kept: Kept, s3: Any, bucket: str) -> None:
    one, two = (put(kept, s3, bucket, key, os.urandom(2 * FRAME), **SSE_S3) for key in ("one", "two"))
    first = kept.read(one)
    kept.write(one, kept.read(two))
    kept.write(two, first)
    for key in ("one", "two"):
        with refused("InternalFailure", 500):
            s3.get_object(Bucket=bucket, Key=key)


def test_changed_bytes_of_a_small_object(server: SimpleNamespace, s3: Any, bucket: str, way: Members) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"few bytes", **way)

    def change(connection: Connection) -> None:
        number, data = connection.execute(sa.select(contents).order_by(contents.c.id.desc()).limit(1)).one()
        changed = data[:-1] + bytes([data[-1] ^ 1])
        connection.execute(contents.update().where(contents.c.id == number).values(data=changed))

    server.platform.stores.objects.write(change)
    with refused("InternalFailure", 500):
        s3.get_object(Bucket=bucket, Key="k", **reading(way))


def test_the_key_that_was_asked_for(s3: Any, kms: Any, bucket: str) -> None:
    key = kms.create_key()["KeyMetadata"]
    context = base64.b64encode(json.dumps({"team": "models"}).encode()).decode()
    written = s3.put_object(
        Bucket=bucket, Key="k", Body=b"x", **SSE_KMS, SSEKMSKeyId=key["KeyId"], SSEKMSEncryptionContext=context
    )
    assert written["SSEKMSKeyId"] == key["Arn"]
    answer = s3.get_object(Bucket=bucket, Key="k")
    assert (answer["Body"].read(), answer["SSEKMSKeyId"]) == (b"x", key["Arn"])


def test_keys_that_cannot_be_used(s3: Any, kms: Any, bucket: str) -> None:
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    way = {**SSE_KMS, "SSEKMSKeyId": key}
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **way)
    kms.disable_key(KeyId=key)
    for code, change in (("KMS.DisabledException", None), ("KMS.KMSInvalidStateException", "deletion")):
        if change:
            kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
        with refused(code, 400):
            s3.get_object(Bucket=bucket, Key="k")
        with refused(code, 400):
            s3.put_object(Bucket=bucket, Key="other", Body=b"x", **way)
        assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == 1
    with refused("KMS.NotFoundException", 400):
        s3.put_object(Bucket=bucket, Key="other", Body=b"x", **SSE_KMS, SSEKMSKeyId="alias/none")


def test_keys_that_the_caller_may_not_use(s3: Any, kms: Any, bucket: str) -> None:
    allowed = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"}
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    way = {**SSE_KMS, "SSEKMSKeyId": key}
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **way)
    for action in ("kms:Decrypt", "kms:GenerateDataKey"):
        denied = {**allowed, "Effect": "Deny", "Action": action}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed, denied]})
        kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy)
        with refused("AccessDenied", 403) as caught:
            if action == "kms:Decrypt":
                s3.get_object(Bucket=bucket, Key="k")
            else:
                s3.put_object(Bucket=bucket, Key="k", Body=b"y", **way)
        assert action in str(caught.value)


@pytest.mark.parametrize("operation", ["get_object", "head_object"])
def test_a_reader_does_not_say_how_to_encrypt(aws: Any, bucket: str, way: Members, operation: str) -> None:
    s3 = aws("s3")
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **way)

    def declare(params: Members, **_: Any) -> None:
        params["headers"]["x-amz-server-side-encryption"] = "AES256"

    s3.meta.events.register("before-call.s3", declare)
    with refused("InvalidArgument" if operation == "get_object" else "400", 400):
        getattr(s3, operation)(Bucket=bucket, Key="k", **reading(way))


def test_a_clients_key_is_needed_and_has_to_be_right(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **CUSTOMER)
    with refused("InvalidRequest", 400):
        s3.get_object(Bucket=bucket, Key="k")
    with refused("400", 400):
        s3.head_object(Bucket=bucket, Key="k")
    with refused("AccessDenied", 403):
        s3.get_object(Bucket=bucket, Key="k", **OTHER)
    with refused("403", 403):
        s3.head_object(Bucket=bucket, Key="k", **OTHER)
    with refused("InvalidRequest", 400):
        s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k")
    for size in (0, 1, SMALL + 1):
        s3.put_object(Bucket=bucket, Key="plain", Body=bytes(size))
        with refused("InvalidRequest", 400):
            s3.get_object(Bucket=bucket, Key="plain", **CUSTOMER)
    attributes = ["ObjectSize"]
    with refused("InvalidRequest", 400):
        s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=attributes)
    assert s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=attributes, **BY_HAND)["ObjectSize"] == 1


def test_a_clients_key_is_kept_nowhere(server: SimpleNamespace, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **CUSTOMER)
    digest = hashlib.md5(CUSTOMER_KEY, usedforsecurity=False).digest()
    forms = [
        form for value in (CUSTOMER_KEY, digest) for form in (value, base64.b64encode(value), value.hex().encode())
    ]
    for path in server.platform.settings.home.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not any(form in data for form in forms), path


def test_parts_need_the_clients_key(s3: Any, bucket: str) -> None:
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", **CUSTOMER)["UploadId"]
    with refused("InvalidRequest", 400):
        s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"x")
    with refused("AccessDenied", 403):
        s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"x", **OTHER)
    plain = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    with refused("InvalidRequest", 400):
        s3.upload_part(Bucket=bucket, Key="k", UploadId=plain, PartNumber=1, Body=b"x", **CUSTOMER)


@pytest.mark.parametrize(
    ("asked", "code", "status"),
    [
        ({"ServerSideEncryption": "ROT13"}, "InvalidArgument", 400),
        ({"ServerSideEncryption": "aws:kms:dsse"}, "NotImplemented", 501),
        ({**SSE_S3, "SSEKMSKeyId": "alias/aws/s3"}, "InvalidArgument", 400),
        ({"SSEKMSKeyId": "alias/aws/s3"}, "InvalidArgument", 400),
        ({**SSE_KMS, "SSEKMSEncryptionContext": "no base64"}, "InvalidArgument", 400),
        ({**SSE_S3, **CUSTOMER}, "InvalidArgument", 400),
        ({**CUSTOMER, "SSECustomerAlgorithm": "DES"}, "InvalidEncryptionAlgorithmError", 400),
        ({**BY_HAND, "SSECustomerKeyMD5": base64.b64encode(bytes(16)).decode()}, "InvalidArgument", 400),
        ({**CUSTOMER, "SSECustomerKey": b"short"}, "InvalidArgument", 400),
        ({"SSECustomerAlgorithm": "AES256"}, "InvalidArgument", 400),
    ],
)
def test_what_cannot_be_asked(s3: Any, bucket: str, asked: Members, code: str, status: int) -> None:
    with refused(code, status):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", **asked)
    with refused(code, status):
        s3.create_multipart_upload(Bucket=bucket, Key="k", **asked)
