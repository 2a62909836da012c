"""Server-side copies: of a whole object, and the finding of the source for a part of an upload."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from sqlalchemy.engine import Connection

from clary.services.operation import Call, Document, Operations
from clary.services.s3 import (
    access,
    checksums,
    conditions,
    faults,
    index,
    options,
    ranges,
    reader,
    user_metadata,
    writing,
)
from clary.services.s3.index import Entry

operations = Operations()

SOURCE = ("CopySource", "ExpectedSourceBucketOwner", *conditions.COPY)


@operations.handles("CopyObject")
@options.understands(
    "ACL",
    "ChecksumAlgorithm",
    "Metadata",
    "MetadataDirective",
    "StorageClass",
    "Tagging",
    "TaggingDirective",
    *SOURCE,
    *options.SYSTEM_HEADERS,
    *conditions.WRITE,
)
def copy_object(call: Call, given: Document) -> Document:
    key = options.key_of(given)
    options.check_acl(given)
    options.storage_class(given)
    call.platform.stores.objects.read(lambda connection: conditions.may_write(connection, call, given, key))
    source, data = opened(call, given, None)
    if source.size > writing.LARGEST_PUT:
        raise faults.invalid_request(
            f"The specified copy source is larger than the maximum allowable size for a copy source: "
            f"{writing.LARGEST_PUT}"
        )
    _check_changes_something(given, key, source)
    name = given.get("ChecksumAlgorithm") or source.checksum.get("algorithm")
    written = writing.store(call.platform.objects, data, checksums.algorithm(name) if name else None)
    entry = _copied(call, given, source, written)

    def work(connection: Connection) -> tuple[None, list[str]]:
        conditions.may_write(connection, call, given, key)
        return None, index.put(connection, entry)

    writing.commit(call.platform, written, work)
    modified = datetime.fromtimestamp(entry.modified, UTC)
    shown = {"ETag": f'"{entry.etag}"', "LastModified": modified, **checksums.members(entry.checksum)}
    return {"CopyObjectResult": shown}


def _copied(call: Call, given: Document, source: Entry, written: writing.Written) -> Entry:
    new_metadata = _directive(given, "MetadataDirective") == "REPLACE"
    new_tags = _directive(given, "TaggingDirective") == "REPLACE"
    return Entry(
        given["Bucket"],
        options.key_of(given),
        written.size,
        written.etag,
        call.platform.clock.now(),
        blob=written.blob,
        data=written.data,
        storage_class=options.storage_class(given),
        checksum=written.checksum,
        headers=options.system_headers(given) if new_metadata else source.headers,
        metadata=user_metadata.received(given) if new_metadata else source.metadata,
        tags=options.tags_of_header(given) if new_tags else source.tags,
    )


def _directive(given: Document, member: str) -> str:
    value = str(given.get(member, "COPY"))
    if value not in ("COPY", "REPLACE"):
        raise faults.invalid_argument(f"Unknown {member}: {value}", member, value)
    return value


def _check_changes_something(given: Document, key: bytes, source: Entry) -> None:
    same = (given["Bucket"], key) == (source.bucket, source.key)
    moved = "StorageClass" in given and given["StorageClass"] != source.storage_class
    if same and not moved and _directive(given, "MetadataDirective") == "COPY":
        raise faults.invalid_request(
            "This copy request is illegal because it is trying to copy an object to itself without changing the "
            "object's metadata, storage class, website redirect location or encryption attributes."
        )


def opened(call: Call, given: Mapping[str, Any], span: str | None) -> tuple[Entry, Iterator[bytes]]:
    """The source that `CopySource` names, its conditions checked, and the bytes of it that `span` names."""
    bucket, key = source_of(given["CopySource"])

    def find(connection: Connection) -> Entry:
        access.enter_source(connection, bucket, given)
        entry = index.find_whole(connection, bucket, options.key_bytes(key))
        if entry is None:
            raise faults.no_such_key(key)
        conditions.check_copy(given, entry)
        return entry

    while True:  # another round only when the source was replaced between finding and opening it
        entry = call.platform.stores.objects.read(find)
        start, length = ranges.of_copy(span, entry.size)
        with suppress(FileNotFoundError):
            return entry, reader.pieces(call.platform, entry, start, length)


def source_of(header: str) -> tuple[str, str]:
    """(bucket, key) of `bucket/key?versionId=null`, percent-encoded, with or without a slash in front."""
    path, _, version = header.partition("?versionId=")
    bucket, _, key = path.removeprefix("/").partition("/")
    if not bucket or not key:
        message = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey"
        raise faults.invalid_argument(message, "x-amz-copy-source", header)
    if bucket.startswith("arn:"):
        raise faults.not_implemented("x-amz-copy-source with an access point ARN")
    options.check_version({"VersionId": version} if version else {})
    return unquote(bucket), unquote(key, errors="strict")
