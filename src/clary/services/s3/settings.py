"""What a bucket is set to. Nothing can be set yet: these answer as AWS does for a bucket whose owner set nothing, and
take what changes nothing."""

from __future__ import annotations

from clary.errors import ServiceError
from clary.services.operation import Call, Document, Handler, Operations
from clary.services.s3 import access, faults, objects, options
from clary.services.s3.index import Bucket

operations = Operations()

_ABSENT = {
    "GetBucketEncryption": (
        "ServerSideEncryptionConfigurationNotFoundError",
        "The server side encryption configuration was not found",
    ),
    "GetBucketLifecycleConfiguration": (
        "NoSuchLifecycleConfiguration",
        "The lifecycle configuration does not exist",
    ),
    "GetBucketWebsite": (
        "NoSuchWebsiteConfiguration",
        "The specified bucket does not have a website configuration",
    ),
    "GetBucketReplication": (
        "ReplicationConfigurationNotFoundError",
        "The replication configuration was not found",
    ),
    "GetObjectLockConfiguration": (
        "ObjectLockConfigurationNotFoundError",
        "Object Lock configuration does not exist for this bucket",
    ),
}


def _absent(code: str, message: str) -> Handler:
    @options.understands()
    def handler(call: Call, given: Document) -> Document:
        bucket = _bucket(call, given)
        raise ServiceError(code, message, 404, {"BucketName": bucket.name})

    return handler


for _name, (_code, _message) in _ABSENT.items():
    operations.add(_name, _absent(_code, _message))


@operations.handles("GetBucketVersioning")
@options.understands()
def get_bucket_versioning(call: Call, given: Document) -> Document:
    _bucket(call, given)
    return {}


@operations.handles("GetBucketAcl")
@options.understands()
def get_bucket_acl(call: Call, given: Document) -> Document:
    return _private(_bucket(call, given).account)


@operations.handles("GetObjectAcl")
@options.understands("VersionId")
def get_object_acl(call: Call, given: Document) -> Document:
    call.platform.stores.objects.read(lambda connection: objects.find(connection, call, given))
    return _private(_bucket(call, given).account)


@operations.handles("PutBucketAcl")
@options.understands("ACL", "ChecksumAlgorithm", "ContentMD5")
def put_bucket_acl(call: Call, given: Document) -> Document:
    _bucket(call, given)
    return _keep_private(given, ("private",))


@operations.handles("PutObjectAcl")
@options.understands("ACL", "ChecksumAlgorithm", "ContentMD5", "VersionId")
def put_object_acl(call: Call, given: Document) -> Document:
    call.platform.stores.objects.read(lambda connection: objects.find(connection, call, given))
    return _keep_private(given, ("private", "bucket-owner-full-control"))


def _keep_private(given: Document, allowed: tuple[str, ...]) -> Document:
    if "ACL" not in given:
        message = "Your request was missing a required header"
        raise ServiceError("MissingSecurityHeader", message, 400, {"MissingHeaderName": "x-amz-acl"})
    options.check_acl(given, allowed)
    return {}


@operations.handles("GetBucketOwnershipControls")
@options.understands()
def get_bucket_ownership_controls(call: Call, given: Document) -> Document:
    _bucket(call, given)
    return {"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}}


@operations.handles("GetBucketLogging")
@options.understands()
def get_bucket_logging(call: Call, given: Document) -> Document:
    _bucket(call, given)
    return {}


@operations.handles("PutBucketVersioning")
@options.understands("ChecksumAlgorithm", "ContentMD5", "VersioningConfiguration")
def put_bucket_versioning(call: Call, given: Document) -> Document:
    _bucket(call, given)
    status = given["VersioningConfiguration"].get("Status")
    raise faults.not_implemented(f"VersioningConfiguration.Status: {status}")


def _bucket(call: Call, given: Document) -> Bucket:
    return call.platform.stores.objects.read(lambda connection: access.enter(connection, call, given))


def _private(account: str) -> Document:
    owner = access.owner(account)
    return {"Owner": owner, "Grants": [{"Grantee": {**owner, "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}]}
