"""S3's condition keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from sqlalchemy.engine import Connection

from clary.services.access.context import Keys, Later
from clary.services.access.wanted import keys_of
from clary.services.operation import Call
from clary.services.s3 import form_upload, index, seeking
from clary.services.s3.index import Entry

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


class RequestKeys(Later):
    """Of a request, or of what is done to one of the keys that it lists: `given` are the members that say so. The tags
    of the object that it is about are looked up when asked for."""

    __slots__ = ("_tags",)

    def __init__(self, call: Call, given: Mapping[str, Any], bucket: str, key: str, version: str | None) -> None:
        super().__init__(lambda: _context(call, given))
        self._tags = Later(lambda: _existing(call, bucket, key, version))

    def get(self, key: str, default: Any = None) -> Any:
        return self._tags.get(key, default) if key.startswith(_EXISTING) else super().get(key, default)


def _existing(call: Call, bucket: str, key: str, version: str | None) -> Keys:
    tags = tags_of(call, bucket, key, version)
    return {f"{_EXISTING}{name.lower()}": (value,) for name, value in tags.items()}


def tags_of(call: Call, name: str, key: str, version: str | None) -> Mapping[str, str]:
    """Those of the object that is there, whoever asks."""

    def work(connection: Connection) -> Entry | None:
        bucket = index.find_bucket(connection, name)
        return None if bucket is None or not key else seeking.present(connection, bucket, key, version)

    found = call.platform.stores.objects.read(work)
    return found.tags if found else {}


def _context(call: Call, given: Mapping[str, Any]) -> Keys:
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
    elif call.principal.kind != "anonymous" and form_upload.is_one(call):
        found["s3:authtype"] = ("POST",)
        found["s3:signatureversion"] = ("AWS4-HMAC-SHA256" if "x-amz-algorithm" in headers else "AWS",)
    elif call.principal.kind != "anonymous":
        found["s3:authtype"] = ("REST-QUERY-STRING",)
        newer = "X-Amz-Algorithm" in call.request.query
        found["s3:signatureversion"] = ("AWS4-HMAC-SHA256" if newer else "AWS",)
    content = headers.get("x-amz-content-sha256")
    if content:
        found["s3:x-amz-content-sha256"] = (content,)
    return found
