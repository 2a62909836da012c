"""Object ownership: whether lists of access count in a bucket, and whose the objects are that others put there."""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import Connection

from clary.errors import ServiceError
from clary.services.operation import Call, Document, Operations
from clary.services.s3 import acl, blocks, bucket_settings, configuration, faults, options
from clary.services.s3.index import Bucket

operations = Operations()

NAME, ACL = "OwnershipControls", "Acl"
ENFORCED, PREFERRED, WRITER = "BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"


def of(connection: Connection, bucket: Bucket) -> str:
    """The bucket's ObjectOwnership; a bucket whose controls were deleted leaves objects to who wrote them."""
    found: str | None = bucket_settings.find(connection, bucket, NAME)
    return ENFORCED if found is None else found or WRITER


@operations.handles("PutBucketOwnershipControls")
@options.understands("ChecksumAlgorithm", "ContentMD5", "OwnershipControls")
def put_bucket_ownership_controls(call: Call, given: Document) -> Document:
    rules = given["OwnershipControls"].get("Rules") or []
    if len(rules) != 1 or rules[0].get("ObjectOwnership") not in (ENFORCED, PREFERRED, WRITER):
        raise faults.malformed_xml()
    wanted = rules[0]["ObjectOwnership"]

    def private(connection: Connection, bucket: Bucket) -> None:
        listed = bucket_settings.find(connection, bucket, ACL)
        if wanted == ENFORCED and listed is not None and not acl.is_private(listed["Grants"], bucket.account):
            raise not_with_lists()

    configuration.put(call, given, NAME, wanted, private)
    return {}


@operations.handles("GetBucketOwnershipControls")
@options.understands()
def get_bucket_ownership_controls(call: Call, given: Document) -> Document:
    found = configuration.get(call, given, NAME)
    if found == "":
        code = "OwnershipControlsNotFoundError"
        raise configuration.absent(given, code, "The bucket ownership controls were not found")
    return {"OwnershipControls": {"Rules": [{"ObjectOwnership": found or ENFORCED}]}}


@operations.handles("DeleteBucketOwnershipControls")
@options.understands()
def delete_bucket_ownership_controls(call: Call, given: Document) -> Document:
    configuration.put(call, given, NAME, "")
    return {}


def enter(connection: Connection, bucket: Bucket, wanted: str | None, grants: acl.Grants | None) -> None:
    """For a bucket that is made now."""
    if wanted not in (None, ENFORCED, PREFERRED, WRITER):
        message = f"Invalid x-amz-object-ownership header: {wanted}"
        raise faults.invalid_argument(message, "x-amz-object-ownership", wanted)
    if (wanted or ENFORCED) == ENFORCED:
        if grants is not None and not acl.is_private(grants, bucket.account):
            raise not_with_lists()
        return
    bucket_settings.enter(connection, bucket, NAME, wanted)
    if grants is None:
        return
    if acl.is_public(grants) and blocks.of(connection, bucket).get("BlockPublicAcls"):
        message = "Bucket cannot have public ACLs set with BlockPublicAccess enabled"
        raise ServiceError("InvalidBucketAclWithBlockPublicAccessError", message)
    set_acl(connection, bucket, grants)


def set_acl(connection: Connection, bucket: Bucket, grants: acl.Grants) -> None:
    listed = acl.stored(bucket.account, grants, bucket.account)
    if listed is None:
        bucket_settings.remove(connection, bucket, ACL)
    else:
        bucket_settings.enter(connection, bucket, ACL, listed)


def acl_of(connection: Connection, bucket: Bucket, listed: dict[str, Any] | None) -> dict[str, Any] | None:
    """The list of the bucket, or of an object in it, as it counts."""
    return None if of(connection, bucket) == ENFORCED else listed


def acl_of_new(connection: Connection, bucket: Bucket, given: Document, writer: str) -> dict[str, Any] | None:
    """The list of an object that the account `writer` puts there. Raises AccessControlListNotSupported where none
    count, AccessDenied where a public one is blocked."""
    owned = of(connection, bucket)
    if owned == ENFORCED:
        check_unlisted(given, bucket)
        return None
    full = given.get("ACL") == "bucket-owner-full-control"
    owner = bucket.account if owned == PREFERRED and full else writer or bucket.account
    grants = acl.asked(given, owner, bucket.account)
    if grants is None:
        return acl.stored(owner, acl.asked({"ACL": "private"}, owner, bucket.account) or [], bucket.account)
    check_blocked(connection, bucket, grants)
    return acl.stored(owner, grants, bucket.account)


def check_unlisted(given: Document, bucket: Bucket) -> None:
    """Where the bucket owner is enforced, a list that says no more than that is let pass."""
    grants = acl.asked(given, bucket.account, bucket.account)
    if grants is not None and not acl.is_private(grants, bucket.account):
        raise not_supported()


def check_blocked(connection: Connection, bucket: Bucket, grants: acl.Grants) -> None:
    if acl.is_public(grants) and blocks.of(connection, bucket).get("BlockPublicAcls"):
        raise faults.access_denied()


def not_supported() -> ServiceError:
    return ServiceError("AccessControlListNotSupported", "The bucket does not allow ACLs")


def not_with_lists() -> ServiceError:
    message = "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"
    return ServiceError("InvalidBucketAclWithObjectOwnership", message)
