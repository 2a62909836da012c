"""PutObject: one object from one request, or from bytes that an agent wrote past the server."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from clary.services.operation import Call, Document, Operations
from clary.services.s3 import (
    acl,
    checksums,
    conditions,
    data_keys,
    encryption_asked,
    entering,
    lending,
    lock,
    options,
    writing,
)
from clary.services.s3.index import Entry

operations = Operations()


@operations.handles("PutObject")
@options.understands(
    "Body",
    "ChecksumAlgorithm",
    "ContentLength",
    "ContentMD5",
    "Metadata",
    "StorageClass",
    "Tagging",
    *acl.OBJECT_MEMBERS,
    *lock.MEMBERS,
    *encryption_asked.MEMBERS,
    *options.SYSTEM_HEADERS,
    *conditions.WRITE,
    *checksums.MEMBERS,
)
def put_object(call: Call, given: Document) -> Document:
    key = options.key_of(given)
    described = options.description(given)
    asked = call.platform.stores.objects.read(lambda connection: entering.check(connection, call, given, key))
    encryption = data_keys.begin(data_keys.Asker.of(call), given["Bucket"], key, asked)
    loan = lending.lent(call, given, lending.Purpose(given["Bucket"], key, plain=encryption is None))
    cipher = encryption.cipher if encryption else None
    written = lending.written(loan) if loan else writing.receive(call, given, cipher=cipher)
    entry = Entry(
        given["Bucket"],
        key,
        written.size,
        encryption.etag(written.etag) if encryption else written.etag,
        call.platform.clock.now(),
        blob=written.blob,
        data=written.data,
        checksum=written.checksum,
        encryption=encryption.stored if encryption else None,
        **described,
    )

    def enter(connection: Connection) -> tuple[Document, list[str]]:
        return entering.enter(connection, call, given, entry)

    told = lending.commit(call.platform, loan, enter) if loan else writing.commit(call.platform, written, enter)
    return {
        "ETag": f'"{entry.etag}"',
        **checksums.members(entry.checksum),
        **told,
        **data_keys.shown(entry.encryption, given),
    }
