"""Multipart uploads: begin, send parts, copy parts, abort."""

from __future__ import annotations

import dataclasses
import secrets
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.engine import Connection

from clary.services.operation import Call, Document, Operations
from clary.services.s3 import (
    access,
    acl,
    checksums,
    copying,
    data_keys,
    encryption_asked,
    faults,
    lending,
    lifecycle,
    lock,
    options,
    ownership,
    reader,
    uploads,
    writing,
)
from clary.services.s3.data_keys import Encryption
from clary.services.s3.encryption_asked import Asked
from clary.services.s3.loans import Loan
from clary.services.s3.uploads import Part, Upload

operations = Operations()

PART_CHECKSUMS = tuple(sorted(checksums.MEMBERS))


@operations.handles("CreateMultipartUpload")
@options.understands(
    "ChecksumAlgorithm",
    "ChecksumType",
    "Metadata",
    "StorageClass",
    "Tagging",
    *acl.OBJECT_MEMBERS,
    *lock.MEMBERS,
    *encryption_asked.MEMBERS,
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

    def check(connection: Connection) -> tuple[dict[str, Any] | None, Asked | None]:
        bucket = access.enter(connection, call, given)
        lock.check_asked(bucket, given, upload.started)
        listed = ownership.acl_of_new(connection, bucket, given, call.account)
        return listed, encryption_asked.asked(connection, call.platform.settings, bucket, given)

    asked = call.platform.stores.objects.read(check)[1]
    encryption = data_keys.begin(data_keys.Asker.of(call), upload.bucket, upload.key, asked)
    upload = dataclasses.replace(upload, encryption=encryption.stored if encryption else None)

    def commit(connection: Connection) -> Document:
        uploads.add(connection, dataclasses.replace(upload, acl=check(connection)[0]))
        return lifecycle.shown_of_upload(connection, access.enter(connection, call, given), upload)

    told = call.platform.stores.objects.write(commit)
    named = {"ChecksumAlgorithm": checksum["algorithm"], "ChecksumType": checksum["type"]} if checksum else {}
    result = {"Bucket": upload.bucket, "Key": given["Key"], "UploadId": upload.id, **told, **named}
    return {**result, **data_keys.shown(upload.encryption, given)}


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
    upload = uploads.find(connection, bucket.name, options.key_of(given), given["UploadId"])
    if upload is None:
        raise faults.no_such_upload(given["UploadId"])
    return upload


@operations.handles("UploadPart")
@options.understands(
    "Body",
    "ChecksumAlgorithm",
    "ContentLength",
    "ContentMD5",
    "PartNumber",
    "UploadId",
    *encryption_asked.CUSTOMER_MEMBERS,
    *PART_CHECKSUMS,
)
def upload_part(call: Call, given: Document) -> Document:
    number = options.part_number(given)
    upload = call.platform.stores.objects.read(lambda connection: find_upload(connection, call, given))
    announced = checksums.declared(given, call.request.headers)
    _check_same_algorithm(upload, announced.algorithm.name if announced else None)
    encryption = _encryption(call, given, upload, number)
    plain = encryption is None and not upload.checksum
    purpose = lending.Purpose(upload.bucket, upload.key, plain, upload.id, number)
    loan, cipher = lending.lent(call, given, purpose), encryption.cipher if encryption else None
    written = lending.written(loan) if loan else writing.receive(call, given, writing.NEVER_SMALL, cipher)
    part = _enter_part(call, given, number, written, encryption, loan)
    shown = {**checksums.members(part.checksum, with_type=False), **data_keys.shown(upload.encryption, given)}
    return {"ETag": f'"{part.etag}"', **shown}


def _encryption(call: Call, given: Document, upload: Upload, number: int) -> Encryption | None:
    """Of one part. Raises S3's errors."""
    stored, key = upload.encryption, encryption_asked.customer_key(given)
    if data_keys.by_customer(stored) != (key is not None):
        requested = "did not request encryption" if key is not None else "requested encryption"
        raise faults.invalid_request(
            f"The multipart upload initiate {requested}. Subsequent part requests must include the appropriate "
            "encryption parameters."
        )
    found = data_keys.resume(data_keys.Asker.of(call), upload.bucket, upload.key, stored, key)
    if found is None:
        return None
    return dataclasses.replace(found, cipher=found.cipher.of(reader.part_name(upload.id, number)))


def _check_same_algorithm(upload: Upload, name: str | None) -> None:
    wanted = upload.checksum.get("algorithm")
    if wanted is not None and name != wanted:
        actual = "null" if name is None else name.lower()
        raise faults.invalid_request(
            f"Checksum Type mismatch occurred, expected checksum Type: {wanted.lower()}, actual checksum Type: {actual}"
        )


@operations.handles("UploadPartCopy")
@options.understands("CopySourceRange", "PartNumber", "UploadId", *encryption_asked.CUSTOMER_MEMBERS, *copying.SOURCE)
def upload_part_copy(call: Call, given: Document) -> Document:
    number = options.part_number(given)
    upload = call.platform.stores.objects.read(lambda connection: find_upload(connection, call, given))
    encryption = _encryption(call, given, upload, number)
    source = copying.opened(call, given, given.get("CopySourceRange"))
    name = upload.checksum.get("algorithm")
    wanted = checksums.algorithm(name) if name else None
    cipher = encryption.cipher if encryption else None
    written = writing.store(call.platform.objects, source.data, wanted, small=writing.NEVER_SMALL, cipher=cipher)
    if written.size > writing.LARGEST_PUT:
        call.platform.objects.delete(written.blob)
        raise writing.too_large(written.size)
    part = _enter_part(call, given, number, written, encryption)
    modified = datetime.fromtimestamp(part.modified, UTC)
    shown = {"ETag": f'"{part.etag}"', "LastModified": modified, **checksums.members(part.checksum, with_type=False)}
    return {"CopyPartResult": shown, **source.told, **data_keys.shown(upload.encryption, given)}


def _enter_part(
    call: Call,
    given: Document,
    number: int,
    written: writing.Written,
    encryption: Encryption | None,
    loan: Loan | None = None,
) -> Part:
    part = Part(
        given["UploadId"],
        number,
        written.blob,
        written.size,
        encryption.etag(written.etag) if encryption else written.etag,
        call.platform.clock.now(),
        written.checksum,
    )

    def work(connection: Connection) -> tuple[Document, list[str]]:
        find_upload(connection, call, given)  # it may have been completed or aborted while the bytes came in
        return {}, uploads.put_part(connection, part)

    if loan is None:
        writing.commit(call.platform, written, work)
    else:
        lending.commit(call.platform, loan, work)
    return part


@operations.handles("AbortMultipartUpload")
@options.understands("UploadId")
def abort_multipart_upload(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> list[str]:
        return uploads.abort(connection, find_upload(connection, call, given).id)

    writing.discard(call.platform, call.platform.stores.objects.write(work))
    return {}
