"""Amazon S3: buckets and objects. The index is SQL (`index`), the bytes are in the object store."""

from clary.services.operation import Operations
from clary.services.s3 import (
    archives,
    bucket_encryption,
    buckets,
    completing,
    copying,
    cors,
    grants,
    inspection,
    lifecycle,
    listings,
    locking,
    multipart,
    notifications,
    objects,
    ownership,
    policies,
    putting,
    settings,
    tagging,
    version_listings,
    versioning,
)

OPERATIONS = Operations()
for _part in (
    buckets,
    putting,
    objects,
    copying,
    listings,
    multipart,
    completing,
    inspection,
    tagging,
    settings,
    bucket_encryption,
    cors,
    policies,
    locking,
    version_listings,
    versioning,
    lifecycle,
    ownership,
    grants,
    notifications,
    archives,
):
    OPERATIONS.include(_part.operations)

__all__ = ["OPERATIONS"]
