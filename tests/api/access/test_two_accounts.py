"""Between accounts a bucket's policy has to let somebody in; nobody is told why it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from api.access.people import allow, document, refusal, unique
from api.s3.conftest import ALT, MAIN, Storage, aws, server

__all__ = ["aws", "server"]


@pytest.fixture(scope="module")
def storage() -> Storage:
    return Storage(lambda: "", None)


def test_another_account_comes_in_by_the_buckets_policy(aws: Callable[..., Any]) -> None:
    mine, theirs, bucket = aws("s3"), aws("s3", key="ALT"), unique("b")
    mine.create_bucket(Bucket=bucket)
    mine.put_object(Bucket=bucket, Key="k", Body=b"data")
    again = {"Bucket": bucket, "ACL": "authenticated-read", "ObjectOwnership": "ObjectWriter"}
    assert refusal(theirs.create_bucket, **again)[:2] == ("BucketAlreadyExists", 409)
    assert refusal(theirs.get_object, Bucket=bucket, Key="k") == ("AccessDenied", 403, "Access Denied")
    assert refusal(theirs.get_object, Bucket=bucket, Key="none") == ("AccessDenied", 403, "Access Denied")
    resource = f"arn:aws:s3:::{bucket}"
    letting = allow("s3:GetObject", "s3:ListBucket", on=[resource, f"{resource}/*"], Principal={"AWS": ALT})
    mine.put_bucket_policy(Bucket=bucket, Policy=document(letting))
    assert theirs.get_object(Bucket=bucket, Key="k")["Body"].read() == b"data"
    assert refusal(theirs.put_object, Bucket=bucket, Key="k", Body=b"")[0] == "AccessDenied"
    assert refusal(theirs.delete_bucket_policy, Bucket=bucket)[0] == "AccessDenied"
    errors = theirs.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k"}]})["Errors"]
    assert errors == [{"Key": "k", "Code": "AccessDenied", "Message": "Access Denied"}]
    assert refusal(theirs.get_object, Bucket=bucket, Key="k", ExpectedBucketOwner=ALT)[0] == "AccessDenied"
    assert theirs.get_object(Bucket=bucket, Key="k", ExpectedBucketOwner=MAIN)
    owners = [client.list_objects(Bucket=bucket)["Contents"][0]["Owner"]["ID"] for client in (mine, theirs)]
    assert owners[0] == owners[1] == mine.list_buckets()["Owner"]["ID"] != theirs.list_buckets()["Owner"]["ID"]


def test_a_copy_needs_both_buckets(aws: Callable[..., Any]) -> None:
    mine, theirs, source, target = aws("s3"), aws("s3", key="ALT"), unique("b"), unique("b")
    mine.create_bucket(Bucket=source)
    mine.put_object(Bucket=source, Key="k", Body=b"data")
    theirs.create_bucket(Bucket=target)
    copy = {"Bucket": target, "Key": "copy", "CopySource": {"Bucket": source, "Key": "k"}}
    assert refusal(theirs.copy_object, **copy)[0] == "AccessDenied"
    letting = allow("s3:GetObject", on=f"arn:aws:s3:::{source}/*", Principal={"AWS": ALT})
    mine.put_bucket_policy(Bucket=source, Policy=document(letting))
    theirs.copy_object(**copy)
    assert theirs.get_object(Bucket=target, Key="copy")["Body"].read() == b"data"
    assert refusal(mine.get_object, Bucket=target, Key="copy")[0] == "AccessDenied"
