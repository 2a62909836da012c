"""Buckets through boto3: names, owners, regions, deletion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from api.s3.faults import refused

Aws = Callable[..., Any]


def test_create_list_head_delete(s3: Any) -> None:
    assert s3.create_bucket(Bucket="life-of-a-bucket")["Location"] == "/life-of-a-bucket"
    assert "life-of-a-bucket" in [each["Name"] for each in s3.list_buckets()["Buckets"]]
    assert s3.head_bucket(Bucket="life-of-a-bucket")["BucketRegion"] == "us-east-1"
    assert s3.get_bucket_location(Bucket="life-of-a-bucket")["LocationConstraint"] is None
    s3.delete_bucket(Bucket="life-of-a-bucket")
    with refused("404", 404):
        s3.head_bucket(Bucket="life-of-a-bucket")
    with refused("NoSuchBucket", 404) as caught:
        s3.list_objects_v2(Bucket="life-of-a-bucket")
    assert caught.value.response["Error"]["BucketName"] == "life-of-a-bucket"


def test_creating_again_is_fine_in_us_east_1_alone(aws: Aws) -> None:
    east, west = aws("s3"), aws("s3", region="eu-west-1")
    east.create_bucket(Bucket="twice-east")
    east.create_bucket(Bucket="twice-east")
    where = {"LocationConstraint": "eu-west-1"}
    west.create_bucket(Bucket="twice-west", CreateBucketConfiguration=where)
    assert west.get_bucket_location(Bucket="twice-west")["LocationConstraint"] == "eu-west-1"
    with refused("BucketAlreadyOwnedByYou", 409):
        west.create_bucket(Bucket="twice-west", CreateBucketConfiguration=where)


def test_names_are_global_and_others_stay_out(aws: Aws, bucket: str) -> None:
    alt = aws("s3", key="ALT")
    with refused("BucketAlreadyExists", 409):
        alt.create_bucket(Bucket=bucket)
    for call in (
        lambda: alt.list_objects_v2(Bucket=bucket),
        lambda: alt.put_object(Bucket=bucket, Key="k", Body=b""),
        lambda: alt.get_object(Bucket=bucket, Key="k"),
        lambda: alt.delete_bucket(Bucket=bucket),
        lambda: aws("s3", key="").list_objects_v2(Bucket=bucket),
        lambda: aws("s3", key="").list_buckets(),
    ):
        with refused("AccessDenied", 403):
            call()
    with refused("403", 403):
        alt.head_bucket(Bucket=bucket)
    assert bucket not in [each["Name"] for each in alt.list_buckets()["Buckets"]]


def test_the_expected_owner_is_compared(aws: Aws, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ExpectedBucketOwner="123456789012")
    with refused("AccessDenied", 403):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", ExpectedBucketOwner="210987654321")
    with refused("AccessDenied", 403):
        source = {"Bucket": bucket, "Key": "k"}
        s3.copy_object(Bucket=bucket, Key="l", CopySource=source, ExpectedSourceBucketOwner="210987654321")


@pytest.mark.parametrize("name", ["192.168.1.1", "aa..bb", "xn--abc", "abc-s3alias", "Upper-Case", "under_score"])
def test_bad_names_are_refused(aws: Aws, name: str) -> None:
    with refused("InvalidBucketName", 400):
        aws("s3", s3={"addressing_style": "path"}).create_bucket(Bucket=name)


@pytest.mark.parametrize("name", ["endpoints", "schedules", "models", "ping", "service", "abc.def-1"])
def test_names_that_look_like_api_paths_work(s3: Any, name: str) -> None:
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="invocations", Body=b"x")
    assert s3.get_object(Bucket=name, Key="invocations")["Body"].read() == b"x"


@pytest.mark.parametrize(
    ("region", "constraint", "code"),
    [
        ("eu-west-1", None, "IllegalLocationConstraintException"),
        ("eu-west-1", "us-west-2", "IllegalLocationConstraintException"),
        ("us-east-1", "nowhere", "InvalidLocationConstraint"),
        ("us-east-1", "us-east-1", "InvalidLocationConstraint"),
    ],
)
def test_wrong_constraints_are_refused(aws: Aws, region: str, constraint: str | None, code: str) -> None:
    more = {"CreateBucketConfiguration": {"LocationConstraint": constraint}} if constraint else {}
    with refused(code, 400):
        aws("s3", region=region).create_bucket(Bucket="constrained", **more)


def test_only_empty_buckets_can_be_deleted(aws: Aws, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    with refused("BucketNotEmpty", 409):
        s3.delete_bucket(Bucket=bucket)
    aws("s3", kind="resource").Bucket(bucket).objects.all().delete()
    s3.create_multipart_upload(Bucket=bucket, Key="k")
    s3.delete_bucket(Bucket=bucket)


def test_list_buckets_pages_and_filters(aws: Aws) -> None:
    s3 = aws("s3", region="ap-south-1")
    names = [f"paged-{n}" for n in range(5)]
    for name in names:
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "ap-south-1"})
    pages = list(s3.get_paginator("list_buckets").paginate(Prefix="paged-", PaginationConfig={"PageSize": 2}))
    assert [len(page["Buckets"]) for page in pages] == [2, 2, 1]
    assert [each["Name"] for page in pages for each in page["Buckets"]] == names
    assert [each["Name"] for each in s3.list_buckets(BucketRegion="ap-south-1")["Buckets"]] == names
    with refused("InvalidRequest", 400):
        s3.list_buckets(Prefix="paged\0")
    with refused("InvalidArgument", 400):
        s3.list_buckets(Prefix="other", ContinuationToken=pages[0]["ContinuationToken"])


def test_bucket_tags(s3: Any, bucket: str) -> None:
    with refused("NoSuchTagSet", 404):
        s3.get_bucket_tagging(Bucket=bucket)
    tags = [{"Key": "team", "Value": "a b&c=é"}, {"Key": "empty", "Value": ""}]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags
    s3.delete_bucket_tagging(Bucket=bucket)
    with refused("NoSuchTagSet", 404):
        s3.get_bucket_tagging(Bucket=bucket)


def test_what_was_never_set_is_answered_as_aws_does(s3: Any, bucket: str) -> None:
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    with refused("ServerSideEncryptionConfigurationNotFoundError", 404):
        s3.get_bucket_encryption(Bucket=bucket)
    with refused("NoSuchBucketPolicy", 404):
        s3.get_bucket_policy(Bucket=bucket)
    owner = s3.list_buckets()["Owner"]["ID"]
    grants = s3.get_bucket_acl(Bucket=bucket)["Grants"]
    assert [(each["Grantee"]["ID"], each["Permission"]) for each in grants] == [(owner, "FULL_CONTROL")]


def test_what_cannot_be_set(s3: Any, bucket: str) -> None:
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"
    s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": "BucketOwner"})
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    assert "TopicConfigurations" not in s3.get_bucket_notification_configuration(Bucket=bucket)
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=bucket)
    assert "Status" not in s3.get_bucket_accelerate_configuration(Bucket=bucket)
    assert s3.list_bucket_inventory_configurations(Bucket=bucket)["IsTruncated"] is False
    with refused("NoSuchBucket", 404):
        s3.get_bucket_request_payment(Bucket="of-nobody")


def test_what_is_not_built_is_refused_by_name(s3: Any, bucket: str) -> None:
    for name, call in {
        "aws:kms:dsse": lambda: s3.put_object(Bucket=bucket, Key="k", Body=b"", ServerSideEncryption="aws:kms:dsse"),
        "Payer: Requester": lambda: s3.put_bucket_request_payment(
            Bucket=bucket, RequestPaymentConfiguration={"Payer": "Requester"}
        ),
        "NotificationConfiguration.QueueConfigurations": lambda: s3.put_bucket_notification_configuration(
            Bucket=bucket,
            NotificationConfiguration={
                "QueueConfigurations": [{"QueueArn": "arn:aws:sqs:us-east-1:1:q", "Events": ["s3:ObjectCreated:*"]}]
            },
        ),
        "PutBucketReplication": lambda: s3.put_bucket_replication(
            Bucket=bucket, ReplicationConfiguration={"Role": "r", "Rules": []}
        ),
        "WebsiteRedirectLocation": lambda: s3.put_object(
            Bucket=bucket, Key="k", Body=b"", WebsiteRedirectLocation="/x"
        ),
    }.items():
        with refused("NotImplemented", 501) as caught:
            call()
        assert name in str(caught.value)
