"""Multipart uploads: begin, send parts, copy parts, complete, abort."""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from sqlalchemy.engine import Connection

from clary.errors import ServiceError
from clary.services.operation import Call, Document, Operations
from clary.services.s3 import (
    access,
    acl,
    checksums,
    conditions,
    copying,
    entering,
    faults,
    index,
    lock,
    options,
    ownership,
    writing,
)
from clary.services.s3.index import Bucket, Entry, Part, Upload

operations = Operations()

_SMALLEST_PART = 5 * 1024**2
_LARGEST_OBJECT = 5 * 1024**4
_PART_CHECKSUMS = tuple(sorted(checksums.MEMBERS))


@operations.handles("CreateMultipartUpload")
@options.understands(
    "ChecksumAlgorithm",
    "ChecksumType",
    "Metadata",
    "StorageClass",
    "Tagging",
    *acl.OBJECT_MEMBERS,
    *lock.MEMBERS,
    *options.SYSTEM_HEADERS,
)
def create_multipart_upload(call: Call, given: Document) -> Document:
    checksum = _checksum_wanted(given)
    upload = Upload(
        secrets.token_urlsafe(48),
        given["Bucket"],
        options.key_of(given),
        call.principal.arn,
        call.platform.clock.now(),
        checksum=checksum,
        lock=lock.asked(given),
        **options.description(given),
    )

    def work(connection: Connection) -> None:
        bucket = access.enter(connection, call, given)
        lock.check_asked(bucket, given, upload.started)
        listed = ownership.acl_of_new(connection, bucket, given, call.account)
        index.add_upload(connection, dataclasses.replace(upload, acl=listed))

    call.platform.stores.objects.write(work)
    result = {"Bucket": upload.bucket, "Key": given["Key"], "UploadId": upload.id}
    if checksum:
        result.update(ChecksumAlgorithm=checksum["algorithm"], ChecksumType=checksum["type"])
    return result


def _checksum_wanted(given: Document) -> dict[str, str]:
    name, kind = given.get("ChecksumAlgorithm"), given.get("ChecksumType")
    if name is None:
        if kind is not None:
            raise faults.invalid_request(
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
            )
        return {}
    used = checksums.algorithm(name)
    kind = kind or ("FULL_OBJECT" if name == "CRC64NVME" else "COMPOSITE")
    if (kind == "FULL_OBJECT" and not used.polynomial) or (kind == "COMPOSITE" and name == "CRC64NVME"):
        raise faults.invalid_request(
            f"The {kind} checksum type cannot be used with the {name.lower()} checksum algorithm."
        )
    if kind not in ("FULL_OBJECT", "COMPOSITE"):
        raise faults.invalid_request("Value for x-amz-checksum-type header is invalid.")
    return {"algorithm": name, "type": kind}


def find_upload(connection: Connection, call: Call, given: Document) -> Upload:
    """The upload a request names. Raises NoSuchUpload, and what `access.enter` does."""
    bucket = access.enter(connection, call, given)
    upload = index.find_upload(connection, bucket.name, options.key_of(given), given["UploadId"])
    if upload is None:
        raise faults.no_such_upload(given["UploadId"])
    return upload


@operations.handles("UploadPart")
@options.understands(
    "Body", "ChecksumAlgorithm", "ContentLength", "ContentMD5", "PartNumber", "UploadId", *_PART_CHECKSUMS
)
def upload_part(call: Call, given: Document) -> Document:
    number = options.part_number(given)
    upload = call.platform.stores.objects.read(lambda connection: find_upload(connection, call, given))
    announced = checksums.declared(given, call.request.headers)
    _check_same_algorithm(upload, announced.algorithm.name if announced else None)
    part = _enter_part(call, given, number, writing.receive(call, given, writing.NEVER_SMALL))
    return {"ETag": f'"{part.etag}"', **checksums.members(part.checksum, with_type=False)}


def _check_same_algorithm(upload: Upload, name: str | None) -> None:
    wanted = upload.checksum.get("algorithm")
    if wanted is not None and name != wanted:
        actual = "null" if name is None else name.lower()
        raise faults.invalid_request(
            f"Checksum Type mismatch occurred, expected checksum Type: {wanted.lower()}, actual checksum Type: {actual}"
        )


@operations.handles("UploadPartCopy")
@options.understands("CopySourceRange", "PartNumber", "UploadId", *copying.SOURCE)
def upload_part_copy(call: Call, given: Document) -> Document:
    number = options.part_number(given)
    upload = call.platform.stores.objects.read(lambda connection: find_upload(connection, call, given))
    source = copying.opened(call, given, given.get("CopySourceRange"))
    name = upload.checksum.get("algorithm")
    wanted = checksums.algorithm(name) if name else None
    written = writing.store(call.platform.objects, source.data, wanted, small=writing.NEVER_SMALL)
    if written.size > writing.LARGEST_PUT:
        call.platform.objects.delete(written.blob)
        raise writing.too_large(written.size)
    part = _enter_part(call, given, number, written)
    modified = datetime.fromtimestamp(part.modified, UTC)
    shown = {"ETag": f'"{part.etag}"', "LastModified": modified, **checksums.members(part.checksum, with_type=False)}
    return {"CopyPartResult": shown, **source.told}


def _enter_part(call: Call, given: Document, number: int, written: writing.Written) -> Part:
    part = Part(
        given["UploadId"],
        number,
        written.blob,
        written.size,
        written.etag,
        call.platform.clock.now(),
        written.checksum,
    )

    def work(connection: Connection) -> tuple[Part, list[str]]:
        find_upload(connection, call, given)  # it may have been completed or aborted while the bytes came in
        return part, index.put_part(connection, part)

    return writing.commit(call.platform, written, work)


@operations.handles("AbortMultipartUpload")
@options.understands("UploadId")
def abort_multipart_upload(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> list[str]:
        return index.abort_upload(connection, find_upload(connection, call, given).id)

    writing.discard(call.platform, call.platform.stores.objects.write(work))
    return {}


@operations.handles("CompleteMultipartUpload")
@options.understands(
    "ChecksumType", "MpuObjectSize", "MultipartUpload", "UploadId", *conditions.WRITE, *_PART_CHECKSUMS
)
def complete_multipart_upload(call: Call, given: Document) -> Document:
    wanted = (given.get("MultipartUpload") or {}).get("Parts") or []
    if not 1 <= len(wanted) <= 10_000:
        raise faults.malformed_xml()

    def work(connection: Connection) -> tuple[Entry, Document, list[str]]:
        bucket = access.enter(connection, call, given)
        done = _completed_before(connection, bucket, given)
        if done is not None:
            return done, entering.told_of_new(connection, bucket, done), []
        upload = find_upload(connection, call, given)
        present = index.find(connection, upload.bucket, upload.key)
        conditions.check_write(given, given["Key"], present)
        chosen = _chosen(upload, wanted, index.list_parts(connection, upload.id))
        entry = _assembled(call, given, upload, chosen)
        dropped = index.close_upload(connection, upload.id, chosen)
        told, freed = entering.place(connection, bucket, entry, upload.lock)
        return entry, told, [*dropped, *freed]

    entry, told, freed = call.platform.stores.objects.write(work)
    writing.discard(call.platform, freed)
    return {
        "Location": f"{call.request.scheme}://{call.request.headers.get('host')}/{entry.bucket}/{quote(entry.key)}",
        "Bucket": entry.bucket,
        "Key": given["Key"],
        "ETag": f'"{entry.etag}"',
        **checksums.members(entry.checksum),
        **told,
    }


def _completed_before(connection: Connection, bucket: Bucket, given: Document) -> Entry | None:
    """A client that did not get the answer asks again: as long as the object is there, it gets the same one."""
    entry = index.find(connection, bucket.name, options.key_of(given))
    return entry if entry is not None and entry.upload == given["UploadId"] else None


def _chosen(upload: Upload, wanted: Sequence[Document], present: Sequence[Part]) -> list[Part]:
    """The parts the client lists, each checked against what it says of it."""
    by_number = {part.number: part for part in present}
    chosen: list[Part] = []
    for each in wanted:
        if "PartNumber" not in each or "ETag" not in each:
            raise faults.malformed_xml()
        number = each["PartNumber"]
        if chosen and number <= chosen[-1].number:
            message = "The list of parts was not in ascending order. Parts must be ordered by part number."
            raise ServiceError("InvalidPartOrder", message, 400, {"UploadId": upload.id})
        part = by_number.get(number)
        if part is None or each["ETag"].strip('"') != part.etag:
            raise faults.invalid_part(upload.id, number, each["ETag"])
        _check_part_checksum(upload, each, part)
        chosen.append(part)
    for part in chosen[:-1]:
        if part.size < _SMALLEST_PART:
            raise faults.part_too_small(part.number, part.size, _SMALLEST_PART, part.etag)
    return chosen


def _check_part_checksum(upload: Upload, said: Document, part: Part) -> None:
    for member in checksums.MEMBERS.intersection(said):
        if checksums.members(part.checksum).get(member) != said[member]:
            raise faults.invalid_part(upload.id, part.number, said["ETag"])
    name = upload.checksum.get("algorithm", "")
    if upload.checksum.get("type") == "COMPOSITE" and f"Checksum{name}" not in said:
        raise faults.invalid_request(
            f"The upload was created using a {name.lower()} checksum. The complete request must include the checksum "
            f"for each part. It was missing for part {part.number} in the request."
        )


def _assembled(call: Call, given: Document, upload: Upload, chosen: Sequence[Part]) -> Entry:
    size = sum(part.size for part in chosen)
    if size > _LARGEST_OBJECT:
        raise writing.too_large(size)
    if given.get("MpuObjectSize") not in (None, size):
        raise faults.invalid_request(
            f"The provided 'x-amz-mp-object-size' header value {given['MpuObjectSize']} does not match what was "
            f"computed: {size}"
        )
    digests = b"".join(bytes.fromhex(part.etag) for part in chosen)
    return Entry(
        upload.bucket,
        upload.key,
        size,
        f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(chosen)}",
        call.platform.clock.now(),
        upload=upload.id,
        acl=upload.acl,
        storage_class=upload.storage_class,
        checksum=_whole_checksum(given, upload, chosen),
        headers=upload.headers,
        metadata=upload.metadata,
        tags=upload.tags,
    )


def _whole_checksum(given: Document, upload: Upload, chosen: Sequence[Part]) -> checksums.Stored:
    said = {member: given[member] for member in checksums.MEMBERS.intersection(given)}
    kind = given.get("ChecksumType")
    if not upload.checksum:
        if said or kind:
            raise faults.invalid_request(
                "The upload was created without a checksum algorithm. Leave the checksum of the whole out, or name the "
                "algorithm in CreateMultipartUpload."
            )
        return {}
    used = checksums.algorithm(upload.checksum["algorithm"])
    if kind not in (None, upload.checksum["type"]):
        raise faults.invalid_request(
            f"The upload was created using the {upload.checksum['type']} checksum mode. The complete request must use "
            "the same checksum mode."
        )
    values = [part.checksum["value"] for part in chosen]
    if upload.checksum["type"] == "COMPOSITE":
        whole = checksums.composite(used, values)
    else:
        whole = checksums.joined(used, [(part.checksum["value"], part.size) for part in chosen])
    for member, value in said.items():
        actual: dict[str, Any] = checksums.members(whole)
        if member not in actual or value.partition("-")[0] != actual[member].partition("-")[0]:
            raise checksums.bad_digest(used)
    return whole
