"""Objects: get, look at, delete."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy.engine import Connection

from clary.errors import ServiceError
from clary.services.operation import Call, Document, Operations
from clary.services.s3 import (
    access,
    archived,
    checksums,
    conditions,
    data_keys,
    direct,
    encryption_asked,
    entering,
    events,
    faults,
    index,
    lock,
    options,
    ranges,
    reader,
    seeking,
    uploads,
    user_metadata,
    versions,
    writing,
)
from clary.services.s3.index import Entry
from clary.services.s3.uploads import Part

operations = Operations()

_OVERRIDES = {f"Response{name}": name for name in options.SYSTEM_HEADERS}
_READ = (
    "VersionId",
    "Range",
    "PartNumber",
    "ChecksumMode",
    *conditions.READ,
    *encryption_asked.CUSTOMER_MEMBERS,
    *_OVERRIDES,
)
_MOST_DELETES = 1000
_NOTHING: Mapping[str, Any] = {}


class _View(NamedTuple):
    """What of an object was asked for. `part` and `parts` (their number) are set for a `PartNumber` of a multipart
    object; `partial` says that the answer is 206; `told` is what its bucket says of it."""

    entry: Entry
    start: int
    length: int
    partial: bool
    part: Part | None = None
    parts: int = 0
    told: Mapping[str, Any] = _NOTHING


@operations.handles("GetObject")
@options.understands(*_READ)
def get_object(call: Call, given: Document) -> Document:
    view, body = _opened(call, given)
    return {**_described(view, given), **archived.shown(view.entry, call.platform.clock), "Body": body}


@operations.handles("HeadObject")
@options.understands(*_READ)
def head_object(call: Call, given: Document) -> Document:
    view = call.platform.stores.objects.read(lambda connection: _view(connection, given))
    entry, told = view.entry, _described(view, given)
    key = encryption_asked.readers_key(call.request.headers, given)
    told |= archived.shown(entry, call.platform.clock)
    asker, kms = data_keys.Asker.of(call), "ChecksumType" in told  # a checksum says something of the bytes
    data_keys.prove(asker, entry.bucket, entry.key, entry.encryption, key, kms=kms)
    return told


def _opened(call: Call, given: Document) -> tuple[_View, bytes | Iterator[bytes]]:
    asker, key = data_keys.Asker.of(call), encryption_asked.readers_key(call.request.headers, given)
    rounds = reader.Rounds(call.platform)
    while True:
        view = call.platform.stores.objects.read(lambda connection: _view(connection, given, whole=True))
        entry = view.entry
        archived.check_readable(entry, call.platform.clock)
        if entry.data and entry.encryption is None and key is None:
            return view, reader.of_row(call.platform, entry, view.start, view.length)
        encryption = data_keys.resume(asker, entry.bucket, entry.key, entry.encryption, key)
        if elsewhere := direct.redirect(call, entry, view.start, view.length):
            raise elsewhere
        with rounds.of(entry):
            return view, reader.body(call.platform, entry, view.start, view.length, encryption)


def _view(connection: Connection, given: Document, whole: bool = False) -> _View:
    bucket, entry = found(connection, given, whole)
    conditions.check_read(given, entry)
    told = entering.told(connection, bucket, entry, by_version="VersionId" in given)
    if "PartNumber" in given:
        return _part_view(connection, entry, given)._replace(told=told)
    span = ranges.parse(given.get("Range"), entry.size)
    if span is None:
        return _View(entry, 0, entry.size, partial=False, told=told)
    return _View(entry, span[0], span[1], partial=True, told=told)


def _part_view(connection: Connection, entry: Entry, given: Document) -> _View:
    if "Range" in given:
        raise faults.invalid_request("Cannot specify both Range header and partNumber query parameter")
    number = options.part_number(given)
    parts = uploads.list_parts(connection, entry.upload) if entry.upload else []
    if not parts and number == 1:
        return _View(entry, 0, entry.size, partial=True)
    for part in parts:
        if part.number == number:
            return _View(entry, part.at, part.size, True, part, len(parts))
    members = {"PartNumberRequested": number, "ActualPartCount": len(parts) or 1}
    raise ServiceError("InvalidPartNumber", "The requested partnumber is not satisfiable", 416, members)


def found(connection: Connection, given: Document, whole: bool = False) -> tuple[index.Bucket, Entry]:
    """The bucket and the object, or the version of it, that a request names; `whole`: with the bytes, where they are
    few. Raises what `access.enter` and `seeking.seek` do."""
    bucket, current = access.enter_at(connection, given, options.key_of(given), whole)
    return bucket, seeking.seek(connection, bucket, given["Key"], given.get("VersionId"), lambda *_: current)


def _described(view: _View, given: Document) -> Document:
    entry = view.entry
    result: Document = {
        "AcceptRanges": "bytes",
        "ContentLength": view.length,
        "ETag": f'"{entry.etag}"',
        "LastModified": entry.modified,
        "Metadata": user_metadata.shown(entry.metadata),
        **options.shown_headers(entry.headers),
        **{name: given[override] for override, name in _OVERRIDES.items() if override in given},
    }
    if entry.storage_class != "STANDARD":
        result["StorageClass"] = entry.storage_class
    result.update(view.told)
    result.update(data_keys.shown(entry.encryption, given))
    if entry.tags:
        result["TagCount"] = len(entry.tags)
    if view.partial:
        if view.length:
            result["ContentRange"] = f"bytes {view.start}-{view.start + view.length - 1}/{entry.size}"
        result["ResponseMetadata"] = {"HTTPStatusCode": 206}
    if view.parts:
        result["PartsCount"] = view.parts
    if given.get("ChecksumMode") == "ENABLED":
        result.update(_checksum(view))
    return result


def _checksum(view: _View) -> Document:
    """Only of what is sent: of the whole, or of a part."""
    if view.part is not None:
        found = checksums.members(view.part.checksum, with_type=False)
        return {**found, "ChecksumType": view.entry.checksum.get("type", "COMPOSITE")} if found else {}
    return checksums.members(view.entry.checksum) if view.length == view.entry.size else {}


@operations.handles("DeleteObject")
@options.understands("VersionId", "IfMatch", "BypassGovernanceRetention")
def delete_object(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> versions.Deleted:
        bucket = access.enter(connection, call, given)
        return _delete_one(connection, call, bucket, given, bool(given.get("BypassGovernanceRetention")))

    done = call.platform.stores.objects.write(work)
    writing.discard(call.platform, done.freed)
    return {**({"VersionId": done.version} if done.version else {}), **({"DeleteMarker": True} if done.marker else {})}


@operations.handles("DeleteObjects")
@options.understands("Delete", "ChecksumAlgorithm", "BypassGovernanceRetention")
def delete_objects(call: Call, given: Document) -> Document:
    wanted = given["Delete"].get("Objects") or []
    if not 1 <= len(wanted) <= _MOST_DELETES:
        raise faults.malformed_xml()
    for each in wanted:
        for member in each:
            if member not in ("Key", "VersionId", "ETag"):
                raise faults.not_implemented(f"Delete.Objects.{member}")

    bypass = bool(given.get("BypassGovernanceRetention"))
    refused = [_refusal(call, given["Bucket"], each, bypass) for each in wanted]

    def work(connection: Connection) -> tuple[Document, list[str]]:
        bucket = access.enter(connection, call, given)
        deleted, errors, freed = [], [], list[str]()
        for each, refusal in zip(wanted, refused, strict=True):
            shown = {name: each[name] for name in ("Key", "VersionId") if name in each}
            try:
                if refusal is not None:
                    raise refusal
                done = _delete_one(connection, call, bucket, each, bypass)
                freed += done.freed
                deleted.append({**shown, **_marked(done)})
            except ServiceError as error:
                errors.append({**shown, "Code": error.code, "Message": error.message})
        return {"Deleted": deleted, "Errors": errors}, freed

    result, freed = call.platform.stores.objects.write(work)
    writing.discard(call.platform, freed)
    quiet = {"Deleted"} if given["Delete"].get("Quiet") else set()
    return {name: value for name, value in result.items() if value and name not in quiet}


def _refusal(call: Call, bucket: str, each: Document, bypass: bool) -> ServiceError | None:
    """Why one of the keys may not be deleted by the caller."""
    try:
        access.check_delete(call, bucket, each, bypass)
    except ServiceError as error:
        return error
    return None


def _delete_one(
    connection: Connection, call: Call, bucket: index.Bucket, each: Document, bypass: bool
) -> versions.Deleted:
    key, version = options.key_of(each), each.get("VersionId")
    wanted = each.get("ETag") or each.get("IfMatch")
    if wanted is not None:
        conditions.check_match(wanted, each["Key"], index.find(connection, bucket.name, key))
    if version is not None and not versions.is_id(version):
        raise faults.invalid_argument("Invalid version id specified", "versionId", version)
    tells = events.tells(bucket)
    there = tells and _something(connection, bucket, key, version)
    if version is None:
        done = versions.delete(connection, bucket, key, call.platform.clock.now())
    else:
        lock.check_delete(connection, bucket, key, version, call.platform.clock.now(), bypass)
        done = versions.delete_version(connection, bucket, key, version)
    if there or (tells and done.made):
        events.removed(connection, bucket, events.of_call(call), "ObjectRemoved", key, done)
    return done


def _something(connection: Connection, bucket: index.Bucket, key: bytes, version: str | None) -> bool:
    """Whether there is what is to be deleted."""
    current = index.find(connection, bucket.name, key)
    if current is not None and version in (None, current.version):
        return True
    return version is not None and versions.find(connection, bucket.name, key, version) is not None


def _marked(done: versions.Deleted) -> Document:
    return {"DeleteMarker": True, "DeleteMarkerVersionId": done.version} if done.marker else {}
