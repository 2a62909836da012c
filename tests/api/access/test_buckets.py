"""Bucket policies and Block Public Access: a bucket is opened to everybody, and closed again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api.access.people import Person, allow, client, document, refusal, unique
from whole_server import WholeServer

CLOSED = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
OPEN = dict.fromkeys(CLOSED, False)


@pytest.fixture
def bucket(server: WholeServer) -> str:
    name = unique("b")
    server.client("s3").create_bucket(Bucket=name)
    server.client("s3").put_object(Bucket=name, Key="k", Body=b"data")
    return name


def public(bucket: str) -> str:
    return document(allow("s3:GetObject", "s3:PutObject", on=f"arn:aws:s3:::{bucket}/*", Principal="*", Sid="Open"))


def test_the_walk_of_a_public_bucket(server: WholeServer, bucket: str) -> None:
    s3, anybody = server.client("s3"), client(server, "s3", ())
    assert s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"] == CLOSED
    code, status, told = refusal(s3.put_bucket_policy, Bucket=bucket, Policy=public(bucket))
    assert (code, status) == ("AccessDenied", 403)
    assert "s3:PutBucketPolicy" in told and "BlockPublicPolicy" in told
    assert refusal(anybody.get_object, Bucket=bucket, Key="k") == ("AccessDenied", 403, "Access Denied")
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=OPEN)
    s3.put_bucket_policy(Bucket=bucket, Policy=public(bucket))
    assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"]) == json.loads(public(bucket))
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"] == {"IsPublic": True}
    assert anybody.get_object(Bucket=bucket, Key="k")["Body"].read() == b"data"
    anybody.put_object(Bucket=bucket, Key="theirs", Body=b"more")
    assert refusal(anybody.list_objects_v2, Bucket=bucket)[0] == "AccessDenied"
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={**OPEN, "RestrictPublicBuckets": True})
    assert refusal(anybody.get_object, Bucket=bucket, Key="k")[0] == "AccessDenied"
    assert refusal(anybody.put_object, Bucket=bucket, Key="k", Body=b"")[0] == "AccessDenied"
    assert s3.get_object(Bucket=bucket, Key="theirs")["Body"].read() == b"more"
    s3.delete_public_access_block(Bucket=bucket)
    assert refusal(s3.get_public_access_block, Bucket=bucket)[0] == "NoSuchPublicAccessBlockConfiguration"
    assert anybody.get_object(Bucket=bucket, Key="k")
    s3.delete_bucket_policy(Bucket=bucket)
    assert refusal(anybody.get_object, Bucket=bucket, Key="k")[0] == "AccessDenied"
    assert refusal(s3.get_bucket_policy, Bucket=bucket)[0] == "NoSuchBucketPolicy"


def test_a_policy_lets_one_user_in_and_keeps_another_out(server: WholeServer, bucket: str) -> None:
    named, other = Person(server), Person(server, allow("s3:*"))
    resource = f"arn:aws:s3:::{bucket}/*"
    policy = document(
        allow("s3:GetObject", on=resource, Principal={"AWS": named.arn}),
        {**allow("s3:*", on=resource), "Effect": "Deny", "Principal": {"AWS": other.arn}},
    )
    server.client("s3").put_bucket_policy(Bucket=bucket, Policy=policy)
    assert server.client("s3").get_bucket_policy_status(Bucket=bucket)["PolicyStatus"] == {"IsPublic": False}
    assert named.client("s3").get_object(Bucket=bucket, Key="k")
    told = refusal(other.client("s3").get_object, Bucket=bucket, Key="k")[2]
    assert told.endswith("with an explicit deny in a resource-based policy")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("{", "Policies must be valid JSON and the first byte must be '{'"),
        ({"Principal": None}, "Missing required field Principal"),
        ({"Resource": None}, "Missing required field Resource"),
        ({"Action": None}, "Missing required field Action"),
        ({"Resource": "arn:aws:s3:::another/*"}, "Policy has invalid resource"),
        ({"Action": "iam:GetUser"}, "Policy has invalid action"),
    ],
)
def test_what_is_no_bucket_policy(server: WholeServer, bucket: str, change: Any, told: str) -> None:
    given = {**allow("s3:GetObject", on=f"arn:aws:s3:::{bucket}/*", Principal={"AWS": "123456789012"})}
    given |= change if isinstance(change, dict) else {}
    text = change if isinstance(change, str) else document({key: value for key, value in given.items() if value})
    code, status, message = refusal(server.client("s3").put_bucket_policy, Bucket=bucket, Policy=text)
    assert (code, status, message) == ("MalformedPolicy", 400, told)
