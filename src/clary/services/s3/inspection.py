"""What is known of uploads under way and of an object's parts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.engine import Connection

from clary.services.operation import Call, Document, Operations
from clary.services.s3 import (
    access,
    checksums,
    data_keys,
    encryption_asked,
    faults,
    lifecycle,
    listings,
    multipart,
    objects,
    options,
    uploads,
    versions,
)
from clary.services.s3.index import Bucket, Entry
from clary.services.s3.uploads import Part, Upload

operations = Operations()

_ATTRIBUTES = frozenset({"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"})


@operations.handles("ListParts")
@options.understands("MaxParts", "PartNumberMarker", "UploadId")
def list_parts(call: Call, given: Document) -> Document:
    most, after = options.limit(given, "MaxParts", "max-parts"), int(given.get("PartNumberMarker") or 0)

    def work(connection: Connection) -> tuple[Upload, list[Part], Document]:
        upload = multipart.find_upload(connection, call, given)
        told = lifecycle.shown_of_upload(connection, access.enter(connection, call, given), upload)
        return upload, uploads.list_parts(connection, upload.id, after, most + 1), told

    upload, found, told = call.platform.stores.objects.read(work)
    shown = found[:most]
    who = {"ID": upload.initiator, "DisplayName": upload.initiator.rpartition("/")[2]}
    result: Document = {
        "Bucket": upload.bucket,
        "Key": given["Key"],
        "UploadId": upload.id,
        "PartNumberMarker": after,
        "MaxParts": most,
        "IsTruncated": len(found) > most,
        "Parts": [_part(each) for each in shown],
        "Initiator": who,
        "Owner": access.owner_of(call, upload.bucket),
        "StorageClass": upload.storage_class,
        **told,
    }
    result["NextPartNumberMarker"] = shown[-1].number if shown else 0
    if upload.checksum:
        result.update(ChecksumAlgorithm=upload.checksum["algorithm"], ChecksumType=upload.checksum["type"])
    return result


def _part(part: Part) -> Document:
    return {
        "PartNumber": part.number,
        "LastModified": datetime.fromtimestamp(part.modified, UTC),
        "ETag": f'"{part.etag}"',
        "Size": part.size,
        **checksums.members(part.checksum, with_type=False),
    }


@operations.handles("ListMultipartUploads")
@options.understands("Delimiter", "EncodingType", "KeyMarker", "MaxUploads", "Prefix", "UploadIdMarker")
def list_multipart_uploads(call: Call, given: Document) -> Document:
    most, encode = options.limit(given, "MaxUploads", "max-uploads"), listings.encoder(given)
    found, prefixes, truncated = call.platform.stores.objects.read(lambda connection: _uploads(connection, call, given))
    result: Document = {
        "Bucket": given["Bucket"],
        "KeyMarker": encode(given.get("KeyMarker", "")),
        "UploadIdMarker": given.get("UploadIdMarker", ""),
        "Prefix": encode(given.get("Prefix", "")),
        "MaxUploads": most,
        "IsTruncated": truncated,
        "Uploads": [_upload(call, each, encode(each.key.decode())) for each in found],
        "CommonPrefixes": [{"Prefix": encode(each.decode())} for each in prefixes],
    }
    for name in ("Delimiter", "EncodingType"):
        if given.get(name):
            result[name] = encode(given[name]) if name == "Delimiter" else given[name]
    if truncated:
        ends_in_prefix = bool(prefixes) and (not found or prefixes[-1] > found[-1].key)
        result["NextKeyMarker"] = encode((prefixes[-1] if ends_in_prefix else found[-1].key).decode())
        result["NextUploadIdMarker"] = "" if ends_in_prefix else found[-1].id
    return result


def _uploads(connection: Connection, call: Call, given: Document) -> tuple[list[Upload], list[bytes], bool]:
    """(uploads, rolled-up prefixes, whether more follow)."""
    bucket = access.enter(connection, call, given)
    most = options.limit(given, "MaxUploads", "max-uploads")
    prefix, delimiter = given.get("Prefix", "").encode(), given.get("Delimiter", "").encode()
    end = listings.successor(prefix)
    position: tuple[bytes, str] | None = max(_after(given, prefix, delimiter), (prefix, ""))
    found: list[Upload] = []
    prefixes: list[bytes] = []
    while position is not None and most > 0:
        rows = uploads.scan(connection, bucket.name, position, end, most + 1)
        rolled = b""
        for upload in rows:
            if rolled and upload.key.startswith(rolled):
                continue
            if len(found) + len(prefixes) == most:
                return found, prefixes, True
            rolled = listings.roll_up(upload.key, prefix, delimiter)
            if rolled:
                prefixes.append(rolled)
            else:
                found.append(upload)
        if len(rows) <= most:
            break
        behind = listings.successor(rolled)
        position = (behind, "") if behind else (rows[-1].key, rows[-1].id)
    return found, prefixes, False


def _after(given: Document, prefix: bytes, delimiter: bytes) -> tuple[bytes, str]:
    """The last (key, upload) seen. A key marker without an upload marker has all uploads of that key behind it."""
    key, upload = given.get("KeyMarker", "").encode(), given.get("UploadIdMarker", "")
    if not key:
        return b"", ""
    if delimiter and key.startswith(prefix) and listings.roll_up(key, prefix, delimiter) == key:
        return listings.successor(key) or key, ""
    return (key, upload) if upload else (key + b"\0", "")


def _upload(call: Call, upload: Upload, key: str) -> Document:
    shown: Document = {
        "UploadId": upload.id,
        "Key": key,
        "Initiated": datetime.fromtimestamp(upload.started, UTC),
        "StorageClass": upload.storage_class,
        "Owner": access.owner_of(call, upload.bucket),
        "Initiator": {"ID": upload.initiator, "DisplayName": upload.initiator.rpartition("/")[2]},
    }
    if upload.checksum:
        shown.update(ChecksumAlgorithm=upload.checksum["algorithm"], ChecksumType=upload.checksum["type"])
    return shown


@operations.handles("GetObjectAttributes")
@options.understands(
    "MaxParts", "ObjectAttributes", "PartNumberMarker", "VersionId", *encryption_asked.CUSTOMER_MEMBERS
)
def get_object_attributes(call: Call, given: Document) -> Document:
    asked = set(given["ObjectAttributes"])
    if not asked <= _ATTRIBUTES:
        wrong = sorted(asked - _ATTRIBUTES)[0]
        raise faults.invalid_argument("Invalid attribute name specified.", "x-amz-object-attributes", wrong)

    def work(connection: Connection) -> tuple[Bucket, Entry, list[Part]]:
        bucket, entry = objects.found(connection, given)
        return bucket, entry, uploads.list_parts(connection, entry.upload) if entry.upload else []

    bucket, entry, parts = call.platform.stores.objects.read(work)
    key, checksum = encryption_asked.customer_key(given), bool(entry.checksum) and "Checksum" in asked
    data_keys.prove(data_keys.Asker.of(call), entry.bucket, entry.key, entry.encryption, key, kms=checksum)
    known: dict[str, Any] = {
        "ETag": entry.etag,
        "Checksum": checksums.members(entry.checksum),
        "ObjectParts": _object_parts(given, entry, parts) if parts else {},
        "StorageClass": entry.storage_class,
        "ObjectSize": entry.size,
    }
    shown = {name: value for name, value in known.items() if name in asked and value not in ({}, None)}
    modified = datetime.fromtimestamp(entry.modified, UTC)
    return {"LastModified": modified, **versions.shown(bucket, entry), **shown}


def _object_parts(given: Document, entry: Entry, parts: list[Part]) -> Document:
    """The parts themselves are shown only of objects with a checksum, as in S3."""
    if not entry.checksum:
        return {"TotalPartsCount": len(parts)}
    most, after = options.limit(given, "MaxParts", "max-parts"), int(given.get("PartNumberMarker") or 0)
    behind = [part for part in parts if part.number > after]
    shown = behind[:most]
    return {
        "TotalPartsCount": len(parts),
        "PartNumberMarker": after,
        "NextPartNumberMarker": shown[-1].number if shown else 0,
        "MaxParts": most,
        "IsTruncated": len(behind) > most,
        "Parts": [
            {"PartNumber": part.number, "Size": part.size, **checksums.members(part.checksum, with_type=False)}
            for part in shown
        ],
    }
