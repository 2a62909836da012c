"""Amazon S3: buckets and objects. The index is SQL (`index`), the bytes are in the object store."""

from clary.services.operation import Operations
from clary.services.s3 import (
    buckets,
    copying,
    cors,
    inspection,
    listings,
    multipart,
    objects,
    policies,
    settings,
    tagging,
)

OPERATIONS = Operations()
for _part in (buckets, objects, copying, listings, multipart, inspection, tagging, settings, cors, policies):
    OPERATIONS.include(_part.operations)

__all__ = ["OPERATIONS"]
