"""The operations on access control lists."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from clary.errors import ServiceError
from clary.services.operation import Call, Document, Operations
from clary.services.s3 import access, acl, bucket_settings, events, objects, options, ownership, versions
from clary.services.s3.index import Bucket

operations = Operations()


@operations.handles("GetBucketAcl")
@options.understands()
def get_bucket_acl(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        bucket = access.enter(connection, call, given)
        listed = bucket_settings.find(connection, bucket, ownership.ACL)
        return acl.shown(ownership.acl_of(connection, bucket, listed), bucket.account)

    return call.platform.stores.objects.read(work)


@operations.handles("PutBucketAcl")
@options.understands("AccessControlPolicy", "ChecksumAlgorithm", "ContentMD5", *acl.MEMBERS)
def put_bucket_acl(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> None:
        bucket = access.enter(connection, call, given)
        ownership.set_acl(connection, bucket, _asked(connection, given, bucket, bucket.account))

    call.platform.stores.objects.write(work)
    return {}


@operations.handles("GetObjectAcl")
@options.understands("VersionId")
def get_object_acl(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        bucket, entry = objects.found(connection, given)
        return acl.shown(ownership.acl_of(connection, bucket, entry.acl), bucket.account)

    return call.platform.stores.objects.read(work)


@operations.handles("PutObjectAcl")
@options.understands("AccessControlPolicy", "ChecksumAlgorithm", "ContentMD5", "VersionId", *acl.MEMBERS)
def put_object_acl(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> None:
        bucket, entry = objects.found(connection, given)
        owner = entry.acl["Owner"] if entry.acl else bucket.account
        grants = _asked(connection, given, bucket, owner)
        versions.change(connection, entry, acl=acl.stored(owner, grants, bucket.account))
        events.described(connection, bucket, events.of_call(call), "ObjectAcl:Put", entry)

    call.platform.stores.objects.write(work)
    return {}


def _asked(connection: Connection, given: Document, bucket: Bucket, owner: str) -> acl.Grants:
    if ownership.of(connection, bucket) == ownership.ENFORCED:
        raise ownership.not_supported()
    grants = acl.asked(given, owner, bucket.account)
    if grants is None:
        message = "Your request was missing a required header"
        raise ServiceError("MissingSecurityHeader", message, 400, {"MissingHeaderName": "x-amz-acl"})
    ownership.check_blocked(connection, bucket, grants)
    return grants
