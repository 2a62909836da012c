"""How a bucket has its new objects encrypted when they do not ask for something themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Connection

from clary.services.operation import Call, Document, Operations
from clary.services.s3 import access, configuration, encryption_asked, faults, options
from clary.services.s3.encryption_asked import AES256, CUSTOMERS, KMS

operations = Operations()


@operations.handles("PutBucketEncryption")
@options.understands("ChecksumAlgorithm", "ContentMD5", "ServerSideEncryptionConfiguration")
def put_bucket_encryption(call: Call, given: Document) -> Document:
    rules = given["ServerSideEncryptionConfiguration"].get("Rules") or []
    if len(rules) != 1:
        raise faults.malformed_xml()
    _check(rules[0])
    configuration.put(call, given, encryption_asked.NAME, rules)
    return {}


def _check(rule: Mapping[str, Any]) -> None:
    for member in rule:
        if member not in ("ApplyServerSideEncryptionByDefault", "BucketKeyEnabled", encryption_asked.BLOCKED):
            raise faults.not_implemented(f"ServerSideEncryptionRule.{member}")
    if set(encryption_asked.blocked(rule)) not in ({CUSTOMERS}, {"NONE"}, set()):
        raise faults.malformed_xml()
    applied = rule.get("ApplyServerSideEncryptionByDefault") or {}
    algorithm = applied.get("SSEAlgorithm")
    if algorithm == "aws:kms:dsse":
        raise faults.not_implemented(f"SSEAlgorithm: {algorithm}")
    if algorithm not in (AES256, KMS):
        raise faults.malformed_xml()
    if algorithm != KMS and applied.get("KMSMasterKeyID") is not None:
        message = "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse"
        raise faults.invalid_argument(message, "ApplyServerSideEncryptionByDefault", algorithm)


@operations.handles("GetBucketEncryption")
@options.understands()
def get_bucket_encryption(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document | None:
        bucket = access.enter(connection, call, given)
        return encryption_asked.default(connection, call.platform.settings, bucket)

    rule = call.platform.stores.objects.read(work)
    if rule is None:
        message = "The server side encryption configuration was not found"
        raise configuration.absent(given, "ServerSideEncryptionConfigurationNotFoundError", message)
    return {"ServerSideEncryptionConfiguration": {"Rules": [{"BucketKeyEnabled": False, **rule}]}}


@operations.handles("DeleteBucketEncryption")
@options.understands()
def delete_bucket_encryption(call: Call, given: Document) -> Document:
    configuration.delete(call, given, encryption_asked.NAME)
    return {}
