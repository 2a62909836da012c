"""Who reads and writes what a KMS key encrypts: S3 asks KMS on behalf of whoever asks S3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import urllib3

from api.access.people import Person, allow, refusal, unique
from whole_server import WholeServer

PART = 5 << 20
VIA_S3 = {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}


@pytest.fixture(scope="module")
def key(server: WholeServer) -> str:
    arn: str = server.client("kms").create_key()["KeyMetadata"]["Arn"]
    return arn


@pytest.fixture(params=[False, True], ids=["own key", "bucket key"])
def bucket(request: pytest.FixtureRequest, server: WholeServer, key: str) -> str:
    """Encrypts under the key, and has an object `k`."""
    name, s3 = unique("b"), server.client("s3")
    s3.create_bucket(Bucket=name)
    applied = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    rule = {"ApplyServerSideEncryptionByDefault": applied, "BucketKeyEnabled": request.param}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert s3.put_object(Bucket=name, Key="k", Body=b"data").get("BucketKeyEnabled", False) == request.param
    return name


def needs(action: str, work: Callable[..., Any], **given: Any) -> None:
    code, status, told = refusal(work, **given)
    assert (code, status) == ("AccessDenied", 403)
    assert action in told


def test_reading_needs_decrypt_and_writing_a_data_key(server: WholeServer, bucket: str, key: str) -> None:
    person, k = Person(server, allow("s3:*")), {"Bucket": bucket, "Key": "k"}
    s3 = person.client("s3")
    needs("kms:Decrypt", s3.get_object, **k)
    needs("kms:GenerateDataKey", s3.put_object, **k, Body=b"new")
    needs("kms:GenerateDataKey", s3.create_multipart_upload, **k)
    needs("kms:Decrypt", s3.copy_object, Bucket=bucket, Key="copy", CopySource=f"{bucket}/k")
    assert s3.head_object(**k)["SSEKMSKeyId"] == key
    person.may(allow("s3:*"), allow("kms:Decrypt", on=key))
    assert s3.get_object(**k)["Body"].read() == b"data"
    needs("kms:GenerateDataKey", s3.copy_object, Bucket=bucket, Key="copy", CopySource=f"{bucket}/k")
    person.may(allow("s3:*"), allow("kms:Decrypt", "kms:GenerateDataKey", on=key))
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k")
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == b"data"
    person.may(allow("s3:*"))
    needs("kms:Decrypt", s3.get_object, **k)


def test_parts_need_both(server: WholeServer, bucket: str, key: str) -> None:
    person = Person(server, allow("s3:*"), allow("kms:GenerateDataKey", on=key))
    s3, k = person.client("s3"), {"Bucket": bucket, "Key": "parts"}
    this = {**k, "UploadId": s3.create_multipart_upload(**k)["UploadId"]}
    needs("kms:Decrypt", s3.upload_part, **this, PartNumber=1, Body=bytes(PART))
    needs("kms:Decrypt", s3.upload_part_copy, **this, PartNumber=1, CopySource=f"{bucket}/k")
    person.may(allow("s3:*"), allow("kms:Decrypt", on=key))
    tag = s3.upload_part(**this, PartNumber=1, Body=bytes(PART))["ETag"]
    listed = {"Parts": [{"PartNumber": 1, "ETag": tag}]}
    person.may(allow("s3:*"))
    needs("kms:Decrypt", s3.complete_multipart_upload, **this, MultipartUpload=listed)
    person.may(allow("s3:*"), allow("kms:Decrypt", on=key))
    s3.complete_multipart_upload(**this, MultipartUpload=listed)
    assert s3.get_object(**k)["Body"].read() == bytes(PART)


def test_a_policy_may_ask_through_which_service(server: WholeServer, bucket: str, key: str) -> None:
    person = Person(server, allow("s3:*"), allow("kms:Decrypt", "kms:GenerateDataKey", on=key, Condition=VIA_S3))
    s3, kms = person.client("s3"), person.client("kms")
    s3.put_object(Bucket=bucket, Key="new", Body=b"x")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"data"
    assert refusal(kms.generate_data_key, KeyId=key, KeySpec="AES_256")[0] == "AccessDeniedException"


def test_a_policy_may_ask_for_what_the_key_is_used(server: WholeServer, bucket: str, key: str) -> None:
    """The encryption context is the object's ARN; with a bucket key the bucket's."""
    k, name = {"Bucket": bucket, "Key": "k"}, f"arn:aws:s3:::{bucket}"
    shared = server.client("s3").head_object(**k).get("BucketKeyEnabled", False)
    for arn, right in ((name, shared), (f"{name}/k", not shared), (f"{name}-2", False)):
        about = {"StringEquals": {"kms:EncryptionContext:aws:s3:arn": arn}}
        person = Person(server, allow("s3:*"), allow("kms:Decrypt", on=key, Condition=about))
        s3 = person.client("s3")
        if right:
            assert s3.get_object(**k)["Body"].read() == b"data"
        else:
            needs("kms:Decrypt", s3.get_object, **k)


def test_forms_need_a_data_key(server: WholeServer, bucket: str, key: str) -> None:
    person = Person(server, allow("s3:*"))
    form = person.client("s3").generate_presigned_post(bucket, "posted")

    def post() -> urllib3.BaseHTTPResponse:
        fields = [*form["fields"].items(), ("file", ("f", b"by a form"))]
        return urllib3.request("POST", f"{server.url}/{bucket}", fields=fields)

    refused = post()
    assert refused.status == 403 and b"kms:GenerateDataKey" in refused.data
    person.may(allow("s3:*"), allow("kms:GenerateDataKey", "kms:Decrypt", on=key))
    assert post().headers["x-amz-server-side-encryption-aws-kms-key-id"] == key
    assert person.client("s3").get_object(Bucket=bucket, Key="posted")["Body"].read() == b"by a form"
