"""Server-side copies: of a whole object, and the finding of the source for a part of an upload."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, unquote_plus

from sqlalchemy.engine import Connection

from clary.services.operation import Call, Document, Operations
from clary.services.s3 import (
    access,
    acl,
    archived,
    checksums,
    conditions,
    data_keys,
    encryption_asked,
    entering,
    faults,
    index,
    lock,
    options,
    ranges,
    reader,
    seeking,
    user_metadata,
    writing,
)
from clary.services.s3.data_keys import Encryption
from clary.services.s3.index import Bucket, Entry

operations = Operations()

SOURCE = ("CopySource", "ExpectedSourceBucketOwner", *conditions.COPY, *encryption_asked.SOURCE_MEMBERS)


@operations.handles("CopyObject")
@options.understands(
    "ChecksumAlgorithm",
    "Metadata",
    "MetadataDirective",
    "StorageClass",
    "Tagging",
    "TaggingDirective",
    *acl.OBJECT_MEMBERS,
    *lock.MEMBERS,
    *encryption_asked.MEMBERS,
    *SOURCE,
    *options.SYSTEM_HEADERS,
    *conditions.WRITE,
)
def copy_object(call: Call, given: Document) -> Document:
    key = options.key_of(given)
    options.storage_class(given)
    asked = call.platform.stores.objects.read(lambda connection: entering.check(connection, call, given, key))
    copied = opened(call, given, None)
    source = copied.entry
    if source.size > writing.LARGEST_PUT:
        raise faults.invalid_request(
            f"The specified copy source is larger than the maximum allowable size for a copy source: "
            f"{writing.LARGEST_PUT}"
        )
    _check_changes_something(given, key, source)
    name = given.get("ChecksumAlgorithm") or source.checksum.get("algorithm")
    encryption = data_keys.begin(data_keys.Asker.of(call), given["Bucket"], key, asked)
    wanted, cipher = checksums.algorithm(name) if name else None, encryption.cipher if encryption else None
    written = writing.store(call.platform.objects, copied.data, wanted, cipher=cipher)
    entry = _copied(call, given, source, written, encryption)

    told = writing.commit(call.platform, written, lambda connection: entering.enter(connection, call, given, entry))
    modified = datetime.fromtimestamp(entry.modified, UTC)
    shown = {"ETag": f'"{entry.etag}"', "LastModified": modified, **checksums.members(entry.checksum)}
    return {"CopyObjectResult": shown, **copied.told, **told, **data_keys.shown(entry.encryption, given)}


def _copied(
    call: Call, given: Document, source: Entry, written: writing.Written, encryption: Encryption | None
) -> Entry:
    new_metadata = _directive(given, "MetadataDirective") == "REPLACE"
    new_tags = _directive(given, "TaggingDirective") == "REPLACE"
    return Entry(
        given["Bucket"],
        options.key_of(given),
        written.size,
        encryption.etag(written.etag) if encryption else written.etag,
        call.platform.clock.now(),
        blob=written.blob,
        data=written.data,
        storage_class=options.storage_class(given),
        checksum=written.checksum,
        headers=options.system_headers(given) if new_metadata else source.headers,
        metadata=user_metadata.received(given) if new_metadata else source.metadata,
        tags=options.tags_of_header(given) if new_tags else source.tags,
        encryption=encryption.stored if encryption else None,
    )


def _directive(given: Document, member: str) -> str:
    value = str(given.get(member, "COPY"))
    if value not in ("COPY", "REPLACE"):
        raise faults.invalid_argument(f"Unknown {member}: {value}", member, value)
    return value


def _check_changes_something(given: Document, key: bytes, source: Entry) -> None:
    same = (given["Bucket"], key) == (source.bucket, source.key) and version_of(given["CopySource"]) is None
    moved = "StorageClass" in given and given["StorageClass"] != source.storage_class
    encrypted = "ServerSideEncryption" in given or "SSECustomerAlgorithm" in given
    if same and not moved and not encrypted and _directive(given, "MetadataDirective") == "COPY":
        raise faults.invalid_request(
            "This copy request is illegal because it is trying to copy an object to itself without changing the "
            "object's metadata, storage class, website redirect location or encryption attributes."
        )


@dataclass(frozen=True, slots=True)
class Source:
    """What is copied: `data` is the part of it that was asked for, `told` what the answer says of its version."""

    entry: Entry
    data: Iterator[bytes]
    told: Document


def opened(call: Call, given: Mapping[str, Any], span: str | None) -> Source:
    """The source that `CopySource` names, its conditions checked, and the bytes of it that `span` names."""
    bucket, key = source_of(given["CopySource"])
    asker, customer_key = data_keys.Asker.of(call), encryption_asked.customer_key(given, "CopySource")

    def find(connection: Connection) -> tuple[Bucket, Entry]:
        found = access.enter_source(connection, bucket, given)
        entry = seeking.seek(connection, found, key, version_of(given["CopySource"]), index.find_whole)
        conditions.check_copy(given, entry)
        return found, entry

    rounds = reader.Rounds(call.platform)
    while True:
        found, entry = call.platform.stores.objects.read(find)
        archived.check_source(entry, call.platform.clock)
        start, length = ranges.of_copy(span, entry.size)
        encryption = data_keys.resume(asker, bucket, entry.key, entry.encryption, customer_key)
        with rounds.of(entry):
            told = {"CopySourceVersionId": entry.version} if found.versioning else {}
            return Source(entry, reader.pieces(call.platform, entry, start, length, encryption), told)


def source_of(header: str) -> tuple[str, str]:
    """(bucket, key) of `bucket/key?versionId=ID`, encoded as forms are (a plus is a blank), with or without a slash in
    front."""
    path = header.partition("?versionId=")[0]
    bucket, _, key = path.removeprefix("/").partition("/")
    if not bucket or not key:
        message = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey"
        raise faults.invalid_argument(message, "x-amz-copy-source", header)
    if bucket.startswith("arn:"):
        raise faults.not_implemented("x-amz-copy-source with an access point ARN")
    try:
        return unquote(bucket), unquote_plus(key, errors="strict")
    except UnicodeDecodeError:
        raise faults.invalid_argument("Invalid copy source encoding.", "x-amz-copy-source", header) from None


def version_of(header: str) -> str | None:
    """Which version of it; None for the current one."""
    return header.partition("?versionId=")[2] or None
