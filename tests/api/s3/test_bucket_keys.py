"""S3 Bucket Keys: KMS seals one key for the objects of a bucket, and each object has its own, made of that one."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from api.port import port
from api.s3.conftest import MAIN, Storage, answering, serving_with_kms
from api.s3.faults import refused
from clary.secrets import KeptDataKeys
from clary.services.kms import OPERATIONS as KMS
from clary.services.s3 import index
from clary.services.s3.data_keys import Stored

SHARED = {"ServerSideEncryption": "aws:kms", "BucketKeyEnabled": True}
OWN = {"ServerSideEncryption": "aws:kms", "BucketKeyEnabled": False}
PART = 5 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, storage: Storage) -> Iterator[SimpleNamespace]:
    with serving_with_kms(tmp_path_factory.mktemp("home"), storage) as made:
        yield made


@pytest.fixture
def put(server: SimpleNamespace, s3: Any, bucket: str) -> Callable[..., Stored]:
    """put("key", **way) -> what is kept of the object's encryption."""

    def put(key: str, **way: Any) -> Stored:
        told = s3.put_object(Bucket=bucket, Key=key, Body=key.encode(), **way)
        assert told.get("BucketKeyEnabled", False) == s3.head_object(Bucket=bucket, Key=key).get(
            "BucketKeyEnabled", False
        )
        return stored(server, bucket, key)

    return put


def stored(server: SimpleNamespace, bucket: str, key: str) -> Stored:
    entry = server.platform.stores.objects.read(lambda connection: index.find(connection, bucket, key.encode()))
    return dict(entry.encryption)


def set_default(s3: Any, bucket: str, enabled: bool, key: str | None = None) -> None:
    applied = {"SSEAlgorithm": "aws:kms", **({"KMSMasterKeyID": key} if key else {})}
    rule = {"ApplyServerSideEncryptionByDefault": applied, "BucketKeyEnabled": enabled}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})


def test_kms_seals_one_key_for_many_objects(s3: Any, bucket: str, put: Callable[..., Stored]) -> None:
    shared = [put(key, **SHARED) for key in ("a", "b", "c")]
    own = [put(key, **OWN) for key in ("d", "e")]
    assert len({each["Key"] for each in shared}) == 1
    assert len({each["Salt"] for each in shared}) == 3
    assert len({each["Key"] for each in (*own, *shared)}) == 3
    assert {each["Context"]["aws:s3:arn"] for each in shared} == {f"arn:aws:s3:::{bucket}"}
    assert [each["Context"]["aws:s3:arn"] for each in own] == [f"arn:aws:s3:::{bucket}/{key}" for key in ("d", "e")]
    for key in "abcde":
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()


def test_what_makes_it_another_key(s3: Any, kms: Any, bucket: str, put: Callable[..., Stored]) -> None:
    other, context = kms.create_key()["KeyMetadata"]["Arn"], base64.b64encode(b'{"team": "models"}').decode()
    sealed = [
        put("a", **SHARED),
        put("b", **SHARED, SSEKMSKeyId=other),
        put("c", **SHARED, SSEKMSKeyId=other, SSEKMSEncryptionContext=context),
    ]
    kms.rotate_key_on_demand(KeyId=other)
    sealed.append(put("d", **SHARED, SSEKMSKeyId=other))
    s3.create_bucket(Bucket=f"{bucket}-2")
    copied = s3.copy_object(Bucket=f"{bucket}-2", Key="a", CopySource=f"{bucket}/a", **SHARED)
    assert copied["BucketKeyEnabled"]
    assert len({each["Key"] for each in sealed}) == 4
    assert s3.get_object(Bucket=f"{bucket}-2", Key="a")["Body"].read() == b"a"


def test_objects_are_read_by_a_server_that_has_kept_nothing(
    server: SimpleNamespace, bucket: str, put: Callable[..., Stored]
) -> None:
    put("k", **SHARED)
    cold = dataclasses.replace(server.platform, data_keys=KeptDataKeys())
    with port(answering(cold, kms=KMS)) as url:
        s3 = boto3.client("s3", "us-east-1", endpoint_url=url, aws_access_key_id="MAIN", aws_secret_access_key="secret")
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"k"
        again = s3.put_object(Bucket=bucket, Key="again", Body=b"x", **SHARED)
    assert again["BucketKeyEnabled"]
    assert stored(server, bucket, "again")["Key"] != stored(server, bucket, "k")["Key"]


def test_a_bucket_is_set_to_it(s3: Any, kms: Any, bucket: str, put: Callable[..., Stored]) -> None:
    key = kms.create_key()["KeyMetadata"]["Arn"]
    set_default(s3, bucket, True, key)
    assert [put("a")[name] for name in ("KeyId", "BucketKey")] == [key, True]
    assert put("b", BucketKeyEnabled=False)["BucketKey"] is False
    assert put("c", ServerSideEncryption="aws:kms")["BucketKey"] is True
    assert put("d", **OWN)["BucketKey"] is False
    set_default(s3, bucket, False, key)
    assert put("e")["BucketKey"] is False
    assert put("f", BucketKeyEnabled=True)["BucketKey"] is True


def test_parts_and_copies(server: SimpleNamespace, s3: Any, bucket: str, put: Callable[..., Stored]) -> None:
    set_default(s3, bucket, True)
    small = put("small")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="large")
    this = {"Bucket": bucket, "Key": "large", "UploadId": upload["UploadId"]}
    first = s3.upload_part(**this, PartNumber=1, Body=bytes(PART))
    second = s3.upload_part_copy(**this, PartNumber=2, CopySource=f"{bucket}/small")
    tags = [first["ETag"], second["CopyPartResult"]["ETag"]]
    listed = {"Parts": [{"PartNumber": at, "ETag": tag} for at, tag in enumerate(tags, 1)]}
    done = s3.complete_multipart_upload(**this, MultipartUpload=listed)
    answer = s3.get_object(Bucket=bucket, Key="large")
    assert answer["Body"].read() == bytes(PART) + b"small"
    assert all(each["BucketKeyEnabled"] for each in (upload, first, second, done, answer))
    assert stored(server, bucket, "large")["Key"] == small["Key"]
    own = s3.copy_object(Bucket=bucket, Key="own", CopySource=f"{bucket}/large", BucketKeyEnabled=False)
    assert not own.get("BucketKeyEnabled")
    assert s3.get_object(Bucket=bucket, Key="own")["Body"].read() == bytes(PART) + b"small"


def test_it_is_of_no_use_without_its_kms_key(s3: Any, kms: Any, bucket: str, put: Callable[..., Stored]) -> None:
    """At once: what is kept helps nobody."""
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    put("k", **SHARED, SSEKMSKeyId=key)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts", **SHARED, SSEKMSKeyId=key)["UploadId"]
    this = {"Bucket": bucket, "Key": "parts", "UploadId": upload}
    part = s3.upload_part(**this, PartNumber=1, Body=b"x")["ETag"]
    kms.disable_key(KeyId=key)
    for work, given in (
        (s3.get_object, {"Bucket": bucket, "Key": "k"}),
        (s3.put_object, {"Bucket": bucket, "Key": "k", "Body": b"", **SHARED, "SSEKMSKeyId": key}),
        (s3.copy_object, {"Bucket": bucket, "Key": "copy", "CopySource": f"{bucket}/k"}),
        (s3.create_multipart_upload, {"Bucket": bucket, "Key": "k", **SHARED, "SSEKMSKeyId": key}),
        (s3.upload_part, {**this, "PartNumber": 2, "Body": b"y"}),
        (s3.complete_multipart_upload, {**this, "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": part}]}}),
    ):
        with refused("KMS.DisabledException", 400):
            work(**given)
    kms.enable_key(KeyId=key)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"k"


def test_a_checksum_is_told_to_who_may_decrypt(s3: Any, kms: Any, bucket: str, put: Callable[..., Stored]) -> None:
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    put("k", **SHARED, SSEKMSKeyId=key, ChecksumAlgorithm="SHA256")
    asked = {"Bucket": bucket, "Key": "k"}
    assert s3.head_object(**asked, ChecksumMode="ENABLED")["ChecksumSHA256"]
    kms.disable_key(KeyId=key)
    assert s3.head_object(**asked)["SSEKMSKeyId"].endswith(key)
    assert s3.get_object_attributes(**asked, ObjectAttributes=["ObjectSize"])["ObjectSize"] == 1
    with refused("400", 400):
        s3.head_object(**asked, ChecksumMode="ENABLED")
    with refused("KMS.DisabledException", 400):
        s3.get_object_attributes(**asked, ObjectAttributes=["Checksum"])


def test_the_context_is_told_again(server: SimpleNamespace, s3: Any, bucket: str) -> None:
    given = {"team": "models", "größe": "5"}
    context = base64.b64encode(json.dumps(given).encode()).decode()
    way = {"ServerSideEncryption": "aws:kms", "SSEKMSEncryptionContext": context}
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"x", **way)
    copied = s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k", **way)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts", **way)
    assert [each["SSEKMSEncryptionContext"] for each in (put, copied, upload)] == [context] * 3
    assert stored(server, bucket, "k")["Context"] == {**given, "aws:s3:arn": f"arn:aws:s3:::{bucket}/k"}
    assert stored(server, bucket, "copy")["Context"] == {**given, "aws:s3:arn": f"arn:aws:s3:::{bucket}/copy"}
    assert "SSEKMSEncryptionContext" not in s3.put_object(
        Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="aws:kms"
    )
    forged = base64.b64encode(json.dumps({"aws:s3:arn": f"arn:aws:s3:::{bucket}/other"}).encode()).decode()
    with refused("InvalidArgument", 400):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", **{**way, "SSEKMSEncryptionContext": forged})


def test_another_account_has_no_part_in_it(aws: Any, s3: Any, kms: Any, bucket: str) -> None:
    """Its own key is what it writes with, in whose bucket ever; the owner's is not there for it."""
    everybody = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket}/*"}
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [everybody]}))
    s3.put_object(Bucket=bucket, Key="ours", Body=b"x", **SHARED)
    theirs = aws("s3", key="ALT")
    told = theirs.put_object(Bucket=bucket, Key="theirs", Body=b"y", **SHARED)
    assert MAIN not in told["SSEKMSKeyId"]
    assert theirs.get_object(Bucket=bucket, Key="theirs")["Body"].read() == b"y"
    for client, key in ((theirs, "ours"), (s3, "theirs")):
        with refused("AccessDenied", 403):
            client.get_object(Bucket=bucket, Key=key)
