"""Block Public Access of an account, over all of its buckets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from api.access.people import ACCOUNT, Person, allow, client, document, refusal, unique
from whole_server import WholeServer

NOTHING = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), False)


def reached(server: WholeServer, *keys: str) -> Any:
    """Through the proxy: boto3 puts the account before any host that it is given, be it an address."""
    server.ask("env")
    config = Config(retries={"total_max_attempts": 1}, proxies={"https": server.url})
    session = boto3.Session(*keys) if keys else server.session()
    return session.client("s3control", "us-east-1", config=config, verify=str(server.ca))


@pytest.fixture
def control(server: WholeServer) -> Iterator[Any]:
    made = reached(server)
    yield made
    made.delete_public_access_block(AccountId=ACCOUNT)


@pytest.fixture
def bucket(aws: Callable[..., Any]) -> str:
    """One whose own settings block nothing."""
    name, s3 = unique("b"), aws("s3")
    s3.create_bucket(Bucket=name)
    s3.delete_public_access_block(Bucket=name)
    s3.put_object(Bucket=name, Key="k", Body=b"data")
    return name


def opening(bucket: str) -> dict[str, str]:
    """A policy by which everybody reads."""
    statement = allow("s3:GetObject", on=f"arn:aws:s3:::{bucket}/*", Principal="*")
    return {"Bucket": bucket, "Policy": document(statement)}


def test_set_and_taken_away(control: Any) -> None:
    absent = ("NoSuchPublicAccessBlockConfiguration", 404, "The public access block configuration was not found")
    assert refusal(control.get_public_access_block, AccountId=ACCOUNT) == absent
    given = {"BlockPublicPolicy": True}
    control.put_public_access_block(AccountId=ACCOUNT, PublicAccessBlockConfiguration=given)
    shown = control.get_public_access_block(AccountId=ACCOUNT)["PublicAccessBlockConfiguration"]
    assert shown == {**NOTHING, **given}
    for _ in range(2):
        answer = control.delete_public_access_block(AccountId=ACCOUNT)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refusal(control.get_public_access_block, AccountId=ACCOUNT) == absent
    none = {"AccountId": ACCOUNT, "PublicAccessBlockConfiguration": {}}
    assert refusal(control.put_public_access_block, **none)[0] == "InvalidRequest"
    other = {"AccountId": "210987654321", "PublicAccessBlockConfiguration": given}
    assert refusal(control.put_public_access_block, **other)[:2] == ("AccessDenied", 403)


def test_what_the_account_blocks_is_blocked(
    control: Any, aws: Callable[..., Any], server: WholeServer, bucket: str
) -> None:
    s3, anybody = aws("s3"), client(server, "s3", ())
    s3.put_bucket_policy(**opening(bucket))
    assert anybody.get_object(Bucket=bucket, Key="k")["Body"].read() == b"data"

    def block(*names: str) -> None:
        wanted = {**NOTHING, **dict.fromkeys(names, True)}
        control.put_public_access_block(AccountId=ACCOUNT, PublicAccessBlockConfiguration=wanted)

    block("RestrictPublicBuckets")
    assert refusal(anybody.get_object, Bucket=bucket, Key="k")[:2] == ("AccessDenied", 403)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"data"
    block("BlockPublicPolicy")
    assert anybody.get_object(Bucket=bucket, Key="k")["Body"].read() == b"data", "it was set before"
    assert "BlockPublicPolicy setting in S3 Block Public Access" in refusal(s3.put_bucket_policy, **opening(bucket))[2]
    s3.delete_bucket_policy(Bucket=bucket)
    rules = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=rules)
    s3.put_object_acl(Bucket=bucket, Key="k", ACL="public-read")
    assert anybody.get_object(Bucket=bucket, Key="k")["Body"].read() == b"data"
    block("IgnorePublicAcls")
    assert refusal(anybody.get_object, Bucket=bucket, Key="k")[:2] == ("AccessDenied", 403)
    block("BlockPublicAcls")
    assert anybody.get_object(Bucket=bucket, Key="k")["Body"].read() == b"data"
    assert refusal(s3.put_object_acl, Bucket=bucket, Key="k", ACL="public-read")[:2] == ("AccessDenied", 403)
    control.delete_public_access_block(AccountId=ACCOUNT)
    s3.put_object_acl(Bucket=bucket, Key="k", ACL="public-read")


def test_who_may_set_it(control: Any, server: WholeServer) -> None:
    person = Person(server, allow("s3:GetAccountPublicAccessBlock", "s3:PutBucketPublicAccessBlock"))
    theirs = reached(server, *person.keys)
    assert refusal(theirs.get_public_access_block, AccountId=ACCOUNT)[1] == 404
    given = {"AccountId": ACCOUNT, "PublicAccessBlockConfiguration": {"BlockPublicAcls": True}}
    code, status, message = refusal(theirs.put_public_access_block, **given)
    assert (code, status) == ("AccessDenied", 403)
    assert "s3:PutAccountPublicAccessBlock" in message
    assert refusal(theirs.delete_public_access_block, AccountId=ACCOUNT)[0] == "AccessDenied"
