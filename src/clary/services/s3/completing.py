"""Multipart uploads: to make an object of the parts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from sqlalchemy.engine import Connection

from clary.errors import ServiceError
from clary.services.operation import Call, Document, Operations
from clary.services.s3 import (
    access,
    checksums,
    conditions,
    data_keys,
    encryption_asked,
    entering,
    faults,
    index,
    options,
    uploads,
    writing,
)
from clary.services.s3.index import Bucket, Entry
from clary.services.s3.multipart import PART_CHECKSUMS, find_upload
from clary.services.s3.uploads import Part, Upload

operations = Operations()

_SMALLEST_PART = 5 * 1024**2
_LARGEST_OBJECT = 5 * 1024**4


@operations.handles("CompleteMultipartUpload")
@options.understands(
    "ChecksumType",
    "MpuObjectSize",
    "MultipartUpload",
    "UploadId",
    *encryption_asked.CUSTOMER_MEMBERS,
    *conditions.WRITE,
    *PART_CHECKSUMS,
)
def complete_multipart_upload(call: Call, given: Document) -> Document:
    wanted = (given.get("MultipartUpload") or {}).get("Parts") or []
    if not 1 <= len(wanted) <= 10_000:
        raise faults.malformed_xml()

    _require_key(call, given)

    def work(connection: Connection) -> tuple[Entry, Document, list[str]]:
        return _complete(connection, call, given, wanted)

    entry, told, freed = call.platform.stores.objects.write(work)
    writing.discard(call.platform, freed)
    return {
        "Location": f"{call.request.scheme}://{call.request.headers.get('host')}/{entry.bucket}/{quote(entry.key)}",
        "Bucket": entry.bucket,
        "Key": given["Key"],
        "ETag": f'"{entry.etag}"',
        **checksums.members(entry.checksum),
        **told,
        **data_keys.shown(entry.encryption, {}),
    }


def _require_key(call: Call, given: Document) -> None:
    """Whoever completes an upload has to be able to use its KMS key, and a client's key that is sent has to be its own.
    The key of an upload never changes, so that it is asked about before the transaction. Raises S3's errors."""
    name, customer_key = options.key_of(given), encryption_asked.customer_key(given)
    upload = call.platform.stores.objects.read(
        lambda connection: uploads.find(connection, given["Bucket"], name, given["UploadId"])
    )
    if upload is None or (customer_key is None and data_keys.by_customer(upload.encryption)):
        return
    data_keys.prove(data_keys.Asker.of(call), upload.bucket, upload.key, upload.encryption, customer_key, kms=True)


def _complete(
    connection: Connection, call: Call, given: Document, wanted: Sequence[Document]
) -> tuple[Entry, Document, list[str]]:
    """(the object, what the answer says of it besides, freed blobs)."""
    bucket = access.enter(connection, call, given)
    done = _completed_before(connection, bucket, given)
    if done is not None:
        return done, entering.told_of_new(connection, bucket, done), []
    upload = find_upload(connection, call, given)
    present = index.find(connection, upload.bucket, upload.key)
    conditions.check_write(given, given["Key"], present)
    chosen = _chosen(upload, wanted, uploads.list_parts(connection, upload.id))
    entry = _assembled(call, given, upload, chosen)
    dropped = uploads.close(connection, upload.id, chosen)
    told, freed = entering.place(connection, bucket, entry, upload.lock, call)
    return entry, told, [*dropped, *freed]


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
        encryption=upload.encryption,
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
