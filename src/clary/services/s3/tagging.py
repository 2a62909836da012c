"""Tags of objects and of buckets."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from clary.errors import ServiceError
from clary.services.operation import Call, Document, Operations
from clary.services.s3 import access, bucket_settings, events, objects, options, versions

operations = Operations()


@operations.handles("PutObjectTagging")
@options.understands("ChecksumAlgorithm", "ContentMD5", "Tagging", "VersionId")
def put_object_tagging(call: Call, given: Document) -> Document:
    tags = options.tags_of_set(given["Tagging"].get("TagSet") or [], most=10)
    return _set(call, given, tags)


@operations.handles("GetObjectTagging")
@options.understands("VersionId")
def get_object_tagging(call: Call, given: Document) -> Document:
    bucket, entry = call.platform.stores.objects.read(lambda connection: objects.found(connection, given))
    return {"TagSet": _tag_set(entry.tags), **versions.shown(bucket, entry)}


@operations.handles("DeleteObjectTagging")
@options.understands("VersionId")
def delete_object_tagging(call: Call, given: Document) -> Document:
    return _set(call, given, {})


@operations.handles("PutBucketTagging")
@options.understands("ChecksumAlgorithm", "ContentMD5", "Tagging")
def put_bucket_tagging(call: Call, given: Document) -> Document:
    tags = options.tags_of_set(given["Tagging"].get("TagSet") or [], most=50)
    _set_bucket(call, given, tags)
    return {}


@operations.handles("GetBucketTagging")
@options.understands()
def get_bucket_tagging(call: Call, given: Document) -> Document:
    bucket = call.platform.stores.objects.read(lambda connection: access.enter(connection, call, given))
    if not bucket.tags:
        raise ServiceError("NoSuchTagSet", "The TagSet does not exist", 404, {"BucketName": bucket.name})
    return {"TagSet": _tag_set(bucket.tags)}


@operations.handles("DeleteBucketTagging")
@options.understands()
def delete_bucket_tagging(call: Call, given: Document) -> Document:
    _set_bucket(call, given, {})
    return {}


def _set(call: Call, given: Document, tags: dict[str, str]) -> Document:
    def work(connection: Connection) -> Document:
        bucket, entry = objects.found(connection, given)
        versions.change(connection, entry, tags=tags)
        event = "ObjectTagging:Put" if call.operation == "PutObjectTagging" else "ObjectTagging:Delete"
        events.described(connection, bucket, events.of_call(call), event, entry)
        return versions.shown(bucket, entry)

    return call.platform.stores.objects.write(work)


def _set_bucket(call: Call, given: Document, tags: dict[str, str]) -> None:
    def work(connection: Connection) -> None:
        bucket_settings.set_tags(connection, access.enter(connection, call, given).name, tags)

    call.platform.stores.objects.write(work)


def _tag_set(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": name, "Value": value} for name, value in tags.items()]
