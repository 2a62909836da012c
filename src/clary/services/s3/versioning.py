"""Whether a bucket keeps versions."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from clary.errors import ServiceError
from clary.services.operation import Call, Document, Operations
from clary.services.s3 import access, bucket_settings, faults, lock, options, versions

operations = Operations()


@operations.handles("GetBucketVersioning")
@options.understands()
def get_bucket_versioning(call: Call, given: Document) -> Document:
    bucket = call.platform.stores.objects.read(lambda connection: access.enter(connection, call, given))
    return {"Status": bucket.versioning} if bucket.versioning else {}


@operations.handles("PutBucketVersioning")
@options.understands("ChecksumAlgorithm", "ContentMD5", "VersioningConfiguration")
def put_bucket_versioning(call: Call, given: Document) -> Document:
    wanted = given["VersioningConfiguration"]
    if wanted.get("MFADelete") not in (None, "Disabled"):
        raise faults.not_implemented("VersioningConfiguration.MfaDelete")
    status = wanted.get("Status")
    if status is None:
        message = "The Versioning element must be specified"
        raise ServiceError("IllegalVersioningConfigurationException", message)
    if status not in (versions.ENABLED, versions.SUSPENDED):
        raise faults.malformed_xml()

    def work(connection: Connection) -> None:
        bucket = access.enter(connection, call, given)
        if status == versions.SUSPENDED and bucket_settings.stamp(bucket, lock.NAME) is not None:
            message = (
                "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed."
            )
            raise ServiceError("InvalidBucketState", message, 409)
        bucket_settings.set_versioning(connection, bucket.name, status)

    call.platform.stores.objects.write(work)
    return {}
