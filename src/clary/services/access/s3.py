"""What the operations of S3 ask for: their actions have names of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from sqlalchemy.engine import Connection

from clary.auth.policy import NEW, Context, Version
from clary.services.access.context import Keys, Later
from clary.services.access.wanted import Wanted, keys_of
from clary.services.operation import Call, Document
from clary.services.s3 import copying, index, seeking
from clary.services.s3.index import Entry

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
_KEYS = {
    "s3:prefix": "Prefix",
    "s3:delimiter": "Delimiter",
    "s3:max-keys": "MaxKeys",
    "s3:versionid": "VersionId",
    "s3:x-amz-acl": "ACL",
    "s3:x-amz-grant-read": "GrantRead",
    "s3:x-amz-grant-write": "GrantWrite",
    "s3:x-amz-grant-read-acp": "GrantReadACP",
    "s3:x-amz-grant-write-acp": "GrantWriteACP",
    "s3:x-amz-grant-full-control": "GrantFullControl",
    "s3:x-amz-copy-source": "CopySource",
    "s3:x-amz-metadata-directive": "MetadataDirective",
    "s3:x-amz-server-side-encryption": "ServerSideEncryption",
    "s3:x-amz-server-side-encryption-aws-kms-key-id": "SSEKMSKeyId",
    "s3:x-amz-server-side-encryption-customer-algorithm": "SSECustomerAlgorithm",
    "s3:x-amz-storage-class": "StorageClass",
    "s3:x-amz-website-redirect-location": "WebsiteRedirectLocation",
    "s3:x-amz-object-ownership": "ObjectOwnership",
    "s3:if-match": "IfMatch",
    "s3:if-none-match": "IfNoneMatch",
    "s3:object-lock-mode": "ObjectLockMode",
    "s3:object-lock-legal-hold": "ObjectLockLegalHoldStatus",
}
_EXISTING = "s3:existingobjecttag/"
_ACL_MEMBERS = ("ACL", "GrantFullControl", "GrantRead", "GrantReadACP", "GrantWriteACP")


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
    bucket, key = given.get("Bucket"), given.get("Key")
    keys = _Keys(call, given, bucket or "", key or "", given.get("VersionId"))
    if bucket is None:
        yield Wanted(action_of(operation), "*", keys)
        return
    resource = bucket_arn(bucket) if key is None else object_arn(bucket, key)
    version = Version(given.get("VersionId"))
    versioned = version.id is not None
    if operation == "GetObjectAttributes":
        yield Wanted(action_of("GetObject", versioned), resource, keys, version)
    yield Wanted(action_of(operation, versioned), resource, keys, version)
    yield from _more(operation, given, resource, keys)
    if given.get("CopySource"):
        yield _source(call, given)


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
        if given.get("ObjectLockEnabledForBucket"):
            yield Wanted("s3:PutBucketObjectLockConfiguration", resource, keys)
            yield Wanted("s3:PutBucketVersioning", resource, keys)
        if given.get("ObjectOwnership"):
            yield Wanted("s3:PutBucketOwnershipControls", resource, keys)
    if given.get("BypassGovernanceRetention"):
        yield Wanted("s3:BypassGovernanceRetention", resource, keys)


def _source(call: Call, given: Document) -> Wanted:
    """The reading of what is copied."""
    source: str = given["CopySource"]
    bucket, key = copying.source_of(source)[:2]
    version = copying.version_of(source)
    keys = _Keys(call, given, bucket, key, version)
    return Wanted(action_of("GetObject", version is not None), object_arn(bucket, key), keys, Version(version))


class _Keys(Later):
    """S3's condition keys of a request; the tags of the object that it is about are looked up when asked for."""

    __slots__ = ("_tags",)

    def __init__(self, call: Call, given: Document, bucket: str, key: str, version: str | None) -> None:
        super().__init__(lambda: context(call, given))
        self._tags = Later(lambda: _existing(call, bucket, key, version))

    def get(self, key: str, default: Any = None) -> Any:
        return self._tags.get(key, default) if key.startswith(_EXISTING) else super().get(key, default)


def _existing(call: Call, name: str, key: str, version: str | None) -> Keys:
    def work(connection: Connection) -> Entry | None:
        bucket = index.find_bucket(connection, name)
        return None if bucket is None or not key else seeking.present(connection, bucket, key, version)

    found = call.platform.stores.objects.read(work)
    return {f"{_EXISTING}{tag.lower()}": (value,) for tag, value in found.tags.items()} if found else {}


def context(call: Call, given: Mapping[str, Any]) -> Keys:
    """S3's condition keys."""
    found: Keys = dict(keys_of(given, _KEYS))
    constraint = (given.get("CreateBucketConfiguration") or {}).get("LocationConstraint")
    if constraint:
        found["s3:locationconstraint"] = (constraint,)
    tags = _tags(given)
    if tags:
        found["s3:requestobjecttagkeys"] = tuple(tags)
        found |= {f"s3:requestobjecttag/{key.lower()}": (value,) for key, value in tags.items()}
    found |= _signature(call)
    return found


def _tags(given: Mapping[str, Any]) -> dict[str, str]:
    tagging = given.get("Tagging")
    if isinstance(tagging, Mapping):
        return {each.get("Key", ""): each.get("Value", "") for each in tagging.get("TagSet") or ()}
    return dict(parse_qsl(tagging or "", keep_blank_values=True))


def _signature(call: Call) -> Keys:
    """How the request is signed."""
    found: dict[str, Sequence[str]] = {}
    headers = call.request.headers
    if "authorization" in headers:
        found["s3:authtype"] = ("REST-HEADER",)
        found["s3:signatureversion"] = ("AWS4-HMAC-SHA256",)
    elif call.principal.kind != "anonymous":
        found["s3:authtype"] = ("REST-QUERY-STRING",)
        newer = "X-Amz-Algorithm" in call.request.query
        found["s3:signatureversion"] = ("AWS4-HMAC-SHA256" if newer else "AWS",)
    content = headers.get("x-amz-content-sha256")
    if content:
        found["s3:x-amz-content-sha256"] = (content,)
    return found
