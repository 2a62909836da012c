"""How a new object is to be encrypted: as its request asks, else as its bucket is set to, else as the server is."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine import Connection

from clary.config import Settings
from clary.errors import ServiceError
from clary.services.s3 import bucket_settings, faults
from clary.services.s3.index import Bucket
from clary.wire.messages import Headers

CUSTOMER_MEMBERS = ("SSECustomerAlgorithm", "SSECustomerKey", "SSECustomerKeyMD5")
SOURCE_MEMBERS = tuple(f"CopySource{name}" for name in CUSTOMER_MEMBERS)
MEMBERS = (
    "ServerSideEncryption",
    "SSEKMSKeyId",
    "SSEKMSEncryptionContext",
    "BucketKeyEnabled",
    *CUSTOMER_MEMBERS,
)
NAME = "Encryption"  # of the bucket's setting
AES256, KMS, CUSTOMER = "AES256", "aws:kms", "customer"
BLOCKED, CUSTOMERS = "BlockedEncryptionTypes", "SSE-C"  # a member of the bucket's rule, and its name for CUSTOMER
_HEADER = "x-amz-server-side-encryption"
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Asked:
    """`algorithm` is AES256, KMS, or CUSTOMER with the `customer_key`. `key_id` is "" for the AWS managed key, `region`
    is where keys are looked up, `context` what the client adds to the encryption context, `bucket_key` whether the
    object's key is made of one that the bucket's objects share."""

    algorithm: str
    region: str = ""
    key_id: str = ""
    context: Mapping[str, str] = field(default_factory=dict)
    bucket_key: bool = False
    customer_key: bytes = field(default=b"", repr=False)


def asked(connection: Connection, settings: Settings, bucket: Bucket, given: Mapping[str, Any]) -> Asked | None:
    """None for what is to be kept as it is. Raises S3's errors."""
    by_request, rule = _of_request(bucket, given), default(connection, settings, bucket)
    bucket_key = bool(given.get("BucketKeyEnabled", (rule or {}).get("BucketKeyEnabled")))
    if by_request is not None and by_request.algorithm == CUSTOMER and CUSTOMERS in blocked(rule or {}):
        raise faults.access_denied()
    if by_request is not None:  # what it does not say of bucket keys is as the bucket is set to
        return dataclasses.replace(by_request, bucket_key=bucket_key)
    if rule is None:
        return None
    applied = rule["ApplyServerSideEncryptionByDefault"]
    return Asked(applied["SSEAlgorithm"], bucket.region, applied.get("KMSMasterKeyID", ""), bucket_key=bucket_key)


def default(connection: Connection, settings: Settings, bucket: Bucket) -> dict[str, Any] | None:
    """The rule for objects that ask for nothing, None when there is none."""
    rules = bucket_settings.find(connection, bucket, NAME)
    if rules is not None:
        return dict(rules[0])
    return {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": AES256}} if settings.encrypt_objects else None


def blocked(rule: Mapping[str, Any]) -> list[str]:
    """The encryption types that new objects may not have; the only one that there can be is CUSTOMERS."""
    return (rule.get(BLOCKED) or {}).get("EncryptionType") or []


def _of_request(bucket: Bucket, given: Mapping[str, Any]) -> Asked | None:
    algorithm, key = given.get("ServerSideEncryption"), customer_key(given)
    if key is not None:
        if algorithm is not None:
            message = (
                "Server Side Encryption with Customer provided key is incompatible with the encryption method specified"
            )
            raise faults.invalid_argument(message, _HEADER, algorithm)
        return Asked(CUSTOMER, customer_key=key)
    if algorithm != KMS:
        _refuse_without_kms(given, algorithm)
        return None if algorithm is None else Asked(AES256)
    context = _context(given.get("SSEKMSEncryptionContext"))
    return Asked(KMS, bucket.region, given.get("SSEKMSKeyId") or "", context)


def _refuse_without_kms(given: Mapping[str, Any], algorithm: str | None) -> None:
    if algorithm == "aws:kms:dsse":
        raise faults.not_implemented(f"{_HEADER}: {algorithm}")
    if algorithm not in (None, AES256):
        raise faults.invalid_argument("The encryption method specified is not supported", _HEADER, algorithm)
    if given.get("SSEKMSKeyId") is not None or given.get("SSEKMSEncryptionContext") is not None:
        message = (
            f"Server Side Encryption with AWS KMS managed key requires HTTP header {_HEADER} : aws:kms or aws:kms:dsse"
        )
        raise faults.invalid_argument(message, _HEADER, algorithm)


def _context(header: str | None) -> dict[str, str]:
    """Base64 of a JSON object of strings."""
    if not header:
        return {}
    try:
        context = json.loads(base64.b64decode(header, validate=True))
    except (ValueError, RecursionError):
        context = None
    if not isinstance(context, dict) or not all(isinstance(value, str) for value in context.values()):
        message = "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string holding JSON"
        raise faults.invalid_argument(f"{message} which represents a string-string map", f"{_HEADER}-context", header)
    return context


def customer_key(given: Mapping[str, Any], prefix: str = "") -> bytes | None:
    """The client's own key, 32 bytes; None when it sends none. `prefix` is "CopySource" for that of a copy's source.
    Over plain HTTP too, unlike AWS: a server on loopback is asked over it. Raises S3's errors."""
    algorithm, key, digest = (given.get(f"{prefix}{name}") for name in CUSTOMER_MEMBERS)
    if algorithm is None and key is None and digest is None:
        return None
    needed = "Requests specifying Server Side Encryption with Customer provided keys must provide"
    for value, what in (
        (algorithm, "a valid encryption algorithm"),
        (key, "an appropriate secret key"),
        (digest, "the client calculated MD5 of the secret key"),
    ):
        if value is None:
            raise faults.invalid_argument(f"{needed} {what}.", _HEADER, "null")
    if algorithm != AES256:
        message = "The encryption request you specified is not valid. The valid value is AES256."
        raise ServiceError("InvalidEncryptionAlgorithmError", message, 400)
    decoded = _decoded(key)
    if len(decoded) != _KEY_BYTES:
        raise faults.invalid_argument("The secret key was invalid for the specified algorithm.", _HEADER, "null")
    if _decoded(digest) != hashlib.md5(decoded, usedforsecurity=False).digest():
        message = "The calculated MD5 hash of the key did not match the hash that was provided."
        raise faults.invalid_argument(message, _HEADER, "null")
    return decoded


def readers_key(headers: Headers, given: Mapping[str, Any]) -> bytes | None:
    """`customer_key` of a request that reads. Raises InvalidArgument where it says how an object is to be encrypted."""
    if _HEADER in headers:
        message = f"{_HEADER} header is not supported for this operation."
        raise faults.invalid_argument(message, _HEADER, headers.get(_HEADER))
    return customer_key(given)


def _decoded(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
