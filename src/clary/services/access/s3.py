"""What the operations of S3 ask for: their actions have names of their own."""

from __future__ import annotations

from collections.abc import Iterator

from clary.auth.policy import NEW, Context, Version
from clary.services.access.wanted import Wanted
from clary.services.operation import Call, Document
from clary.services.s3 import condition_keys, copying
from clary.services.s3.condition_keys import RequestKeys

_BUCKET = "arn:aws:s3:::{}"
# Where an action is not named after its operation.
_NAMES = {
    "CompleteMultipartUpload": "PutObject",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "DeleteBucketAnalyticsConfiguration": "PutAnalyticsConfiguration",
    "DeleteBucketCors": "PutBucketCORS",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketIntelligentTieringConfiguration": "PutIntelligentTieringConfiguration",
    "DeleteBucketInventoryConfiguration": "PutInventoryConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "DeleteBucketMetricsConfiguration": "PutMetricsConfiguration",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
    "DeleteBucketReplication": "PutReplicationConfiguration",
    "DeleteBucketTagging": "PutBucketTagging",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketAccelerateConfiguration": "GetAccelerateConfiguration",
    "GetBucketAnalyticsConfiguration": "GetAnalyticsConfiguration",
    "GetBucketCors": "GetBucketCORS",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketIntelligentTieringConfiguration": "GetIntelligentTieringConfiguration",
    "GetBucketInventoryConfiguration": "GetInventoryConfiguration",
    "GetBucketLifecycle": "GetLifecycleConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "GetBucketMetricsConfiguration": "GetMetricsConfiguration",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "GetBucketReplication": "GetReplicationConfiguration",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "ListBucketAnalyticsConfigurations": "GetAnalyticsConfiguration",
    "ListBucketIntelligentTieringConfigurations": "GetIntelligentTieringConfiguration",
    "ListBucketInventoryConfigurations": "GetInventoryConfiguration",
    "ListBucketMetricsConfigurations": "GetMetricsConfiguration",
    "ListBuckets": "ListAllMyBuckets",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "ListParts": "ListMultipartUploadParts",
    "PutBucketAccelerateConfiguration": "PutAccelerateConfiguration",
    "PutBucketAnalyticsConfiguration": "PutAnalyticsConfiguration",
    "PutBucketCors": "PutBucketCORS",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutBucketIntelligentTieringConfiguration": "PutIntelligentTieringConfiguration",
    "PutBucketInventoryConfiguration": "PutInventoryConfiguration",
    "PutBucketLifecycle": "PutLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "PutBucketMetricsConfiguration": "PutMetricsConfiguration",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "PutBucketReplication": "PutReplicationConfiguration",
    "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "SelectObjectContent": "GetObject",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
}
# What has another name when it is about a version.
_VERSIONED = {
    "GetObject": "GetObjectVersion",
    "DeleteObject": "DeleteObjectVersion",
    "GetObjectAcl": "GetObjectVersionAcl",
    "PutObjectAcl": "PutObjectVersionAcl",
    "GetObjectAttributes": "GetObjectVersionAttributes",
    "GetObjectTagging": "GetObjectVersionTagging",
    "PutObjectTagging": "PutObjectVersionTagging",
    "DeleteObjectTagging": "DeleteObjectVersionTagging",
}
_GRANT_MEMBERS = ("GrantFullControl", "GrantRead", "GrantReadACP", "GrantWrite", "GrantWriteACP")
_ACL_MEMBERS = ("ACL", *_GRANT_MEMBERS)


def object_arn(bucket: str, key: str) -> str:
    return f"arn:aws:s3:::{bucket}/{key}"


def bucket_arn(bucket: str) -> str:
    return _BUCKET.format(bucket)


def action_of(operation: str, versioned: bool = False) -> str:
    """The one that an operation is named for."""
    name = _NAMES.get(operation, operation)
    return f"s3:{_VERSIONED.get(name, name) if versioned else name}"


def wanted(call: Call, given: Document) -> Iterator[Wanted]:
    """Of DeleteObjects nothing here: each of its keys is asked for by itself (`services.s3.access.check_delete`)."""
    operation = call.operation
    if operation == "DeleteObjects":
        return
    if operation == "CopyObject" and given.get("TaggingDirective") != "REPLACE":
        given = {name: value for name, value in given.items() if name != "Tagging"}  # nobody looks at it
    bucket, key = given.get("Bucket"), given.get("Key")
    keys = RequestKeys(call, given, bucket or "", key or "", given.get("VersionId"))
    if bucket is None:
        yield Wanted(action_of(operation), "*", keys)
        return
    resource = bucket_arn(bucket) if key is None else object_arn(bucket, key)
    version = NEW if operation == "CreateBucket" else Version(given.get("VersionId"))
    versioned = version.id is not None
    if operation == "GetObjectAttributes":
        yield Wanted(action_of("GetObject", versioned), resource, keys, version)
    yield Wanted(action_of(operation, versioned), resource, keys, version)
    yield from _more(operation, given, resource, keys)
    if given.get("CopySource"):
        yield from _source(call, given, resource)


def _more(operation: str, given: Document, resource: str, keys: Context) -> Iterator[Wanted]:
    """What certain members ask for besides."""
    if operation in ("PutObject", "CopyObject", "CreateMultipartUpload"):
        if any(given.get(member) is not None for member in _ACL_MEMBERS):
            yield Wanted("s3:PutObjectAcl", resource, keys, NEW)
        if given.get("Tagging"):
            yield Wanted("s3:PutObjectTagging", resource, keys)
        if given.get("ObjectLockMode"):
            yield Wanted("s3:PutObjectRetention", resource, keys)
        if given.get("ObjectLockLegalHoldStatus"):
            yield Wanted("s3:PutObjectLegalHold", resource, keys)
    if operation == "CreateBucket":
        if given.get("ACL", "private") != "private" or any(given.get(member) for member in _GRANT_MEMBERS):
            yield Wanted("s3:PutBucketAcl", resource, keys, NEW)
        if given.get("ObjectLockEnabledForBucket"):
            yield Wanted("s3:PutBucketObjectLockConfiguration", resource, keys, NEW)
            yield Wanted("s3:PutBucketVersioning", resource, keys, NEW)
        if given.get("ObjectOwnership"):
            yield Wanted("s3:PutBucketOwnershipControls", resource, keys, NEW)
    if given.get("BypassGovernanceRetention"):
        yield Wanted("s3:BypassGovernanceRetention", resource, keys)


def _source(call: Call, given: Document, target: str) -> Iterator[Wanted]:
    """The reading of what is copied and, where they come along, of its tags, which are then written."""
    source: str = given["CopySource"]
    bucket, key = copying.source_of(source)[:2]
    version = copying.version_of(source)
    keys = RequestKeys(call, given, bucket, key, version)
    versioned, resource = version is not None, object_arn(bucket, key)
    yield Wanted(action_of("GetObject", versioned), resource, keys, Version(version))
    if call.operation != "CopyObject" or given.get("TaggingDirective") == "REPLACE":
        return
    tags = condition_keys.tags_of(call, bucket, key, version)
    if tags:
        yield Wanted(action_of("GetObjectTagging", versioned), resource, keys, Version(version))
        written = {**given, "Tagging": {"TagSet": [{"Key": name, "Value": value} for name, value in tags.items()]}}
        here = RequestKeys(call, written, given["Bucket"], given["Key"], None)
        yield Wanted("s3:PutObjectTagging", target, here, NEW)
