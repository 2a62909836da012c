"""ListObjectVersions: keys in byte order, the versions of each newest first, those below a delimiter rolled up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from heapq import merge
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.services.operation import Call, Document, Operations
from clary.services.s3 import access, faults, index, listings, options, versions
from clary.services.s3.index import Entry
from clary.services.s3.versions import Kept
from clary.store import objects_schema as tables
from clary.store.prepared import Prepared, Row

operations = Operations()

_BATCH = 1001
_FIRST = -(2**63)  # a place before all others
_SHOWN = ("key", "version", "size", "etag", "modified", "storage_class", "checksum", "tags")
_IN_BUCKET = (tables.objects.c.bucket == sa.bindparam("this_bucket"), tables.objects.c.key >= sa.bindparam("start"))
_CURRENT = (
    sa.select(*(tables.objects.c[name] for name in _SHOWN))
    .where(*_IN_BUCKET)
    .order_by(tables.objects.c.key)
    .limit(sa.bindparam("most"))
)
_OTHERS = (
    sa.select(tables.versions.c.place, tables.versions.c.marker, *(tables.versions.c[name] for name in _SHOWN))
    .where(
        tables.versions.c.bucket == sa.bindparam("this_bucket"),
        sa.tuple_(tables.versions.c.key, tables.versions.c.place)
        > sa.tuple_(sa.bindparam("start", type_=sa.LargeBinary), sa.bindparam("place", type_=sa.BigInteger)),
    )
    .order_by(tables.versions.c.key, tables.versions.c.place)
    .limit(sa.bindparam("most"))
)
_CURRENT_TO_END, _OTHERS_TO_END = Prepared(_CURRENT), Prepared(_OTHERS)
_CURRENT_TO = Prepared(_CURRENT.where(tables.objects.c.key < sa.bindparam("end")))
_OTHERS_TO = Prepared(_OTHERS.where(tables.versions.c.key < sa.bindparam("end")))


@dataclass(frozen=True, slots=True)
class Position:
    """In a listing: behind the version at `place` of `key`; before all of its versions when the place is `_FIRST`."""

    key: bytes
    place: int = _FIRST


@dataclass(slots=True)
class Page:
    """One page. `latest` are the (key, version) of those listed that are the newest of their keys; `last` is the last
    (key or rolled-up prefix, version) when more follow, else None."""

    kept: list[Kept] = field(default_factory=list)
    latest: set[tuple[bytes, str]] = field(default_factory=set)
    prefixes: list[bytes] = field(default_factory=list)
    last: tuple[bytes, str] | None = None


def page(
    connection: Connection, bucket: str, prefix: bytes, delimiter: bytes, position: Position | None, most: int
) -> Page:
    found, last = Page(), (b"", "")
    end = listings.successor(prefix)
    while position is not None and most > 0:
        rows = scan(connection, bucket, position, end, _BATCH)
        rolled, before = b"", _before(connection, bucket, position)
        for kept in rows:
            entry = kept.entry
            if rolled and entry.key.startswith(rolled):
                continue
            if len(found.kept) + len(found.prefixes) == most:
                found.last = last
                return found
            rolled = listings.roll_up(entry.key, prefix, delimiter)
            last = (rolled, "") if rolled else (entry.key, entry.version)
            if rolled:
                found.prefixes.append(rolled)
                continue
            found.kept.append(kept)
            if entry.key != before:
                found.latest.add((entry.key, entry.version))
            before = entry.key
        if len(rows) < _BATCH:
            return found
        ahead = listings.successor(rolled)
        position = (Position(ahead) if ahead else None) if rolled else behind(connection, rows[-1])
    return found


def scan(connection: Connection, bucket: str, position: Position, end: bytes | None, most: int) -> list[Kept]:
    """Versions and markers behind `position`, with keys before `end`. Only what listings show is filled in."""
    given: dict[str, Any] = {"this_bucket": bucket, "start": position.key, "most": most}
    given |= {} if end is None else {"end": end}
    ahead = {**given, "most": most + 1}  # one of them may be before the position
    current = (_CURRENT_TO_END if end is None else _CURRENT_TO).rows(connection, ahead)
    others = (_OTHERS_TO_END if end is None else _OTHERS_TO).rows(connection, given | {"place": position.place})
    first = [Kept(_entry(bucket, row), _FIRST) for row in current]
    if first and first[0].entry.key == position.key and position.place != _FIRST:
        place = versions.current_place(connection, first[0].entry)
        first = [Kept(first[0].entry, place), *first[1:]] if place > position.place else first[1:]
    rest = [Kept(_entry(bucket, row[2:]), row[0], bool(row[1])) for row in others]
    return list(islice(merge(first, rest, key=lambda each: (each.entry.key, each.place)), most))


def behind(connection: Connection, kept: Kept) -> Position:
    """The position behind one of `scan`."""
    return Position(kept.entry.key, _place(connection, kept))


def _before(connection: Connection, bucket: str, position: Position) -> bytes | None:
    """The key of the position, if versions of it are still there before that."""
    if position.place == _FIRST:
        return None
    ahead = scan(connection, bucket, Position(position.key), position.key + b"\0", 1)
    return position.key if ahead and _place(connection, ahead[0]) <= position.place else None


def _place(connection: Connection, kept: Kept) -> int:
    return versions.current_place(connection, kept.entry) if kept.place == _FIRST else kept.place


@operations.handles("ListObjectVersions")
@options.understands(
    "Prefix", "Delimiter", "MaxKeys", "EncodingType", "OptionalObjectAttributes", "KeyMarker", "VersionIdMarker"
)
def list_object_versions(call: Call, given: Document) -> Document:
    if given.get("OptionalObjectAttributes"):
        raise faults.not_implemented("x-amz-optional-object-attributes")
    most, encode = options.limit(given, "MaxKeys", "max-keys"), listings.encoder(given)

    def work(connection: Connection) -> tuple[index.Bucket, Page]:
        bucket = access.enter(connection, call, given)
        prefix, delimiter = given.get("Prefix", "").encode(), given.get("Delimiter", "").encode()
        position = _start(connection, bucket.name, given, prefix, delimiter)
        return bucket, page(connection, bucket.name, prefix, delimiter, position, most)

    bucket, found = call.platform.stores.objects.read(work)
    result = _head(given, found, most, encode)
    for kept in found.kept:
        shown = {
            **(_marker if kept.marker else listings.listed)(kept.entry, encode),
            "VersionId": kept.entry.version,
            "IsLatest": (kept.entry.key, kept.entry.version) in found.latest,
            "Owner": access.owner(bucket.account),
        }
        result["DeleteMarkers" if kept.marker else "Versions"].append(shown)
    return result


def _start(connection: Connection, bucket: str, given: Document, prefix: bytes, delimiter: bytes) -> Position | None:
    key, version = given.get("KeyMarker", "").encode(), given.get("VersionIdMarker", "")
    if not key:
        if version:
            message = "A version-id marker cannot be specified without a key marker."
            raise faults.invalid_argument(message, "version-id-marker", version)
        return Position(prefix)
    start = Position(listings.behind(key, prefix, delimiter))
    if version:
        if not versions.is_id(version):
            raise faults.invalid_argument("Invalid version id specified", "version-id-marker", version)
        start = Position(key, _place_of(connection, bucket, key, version))
    return max(start, Position(prefix), key=lambda each: (each.key, each.place))


def _place_of(connection: Connection, bucket: str, key: bytes, version: str) -> int:
    """A "null" version that is gone has left no trace of its place: then all of the key come once more."""
    place = versions.place_of(version)
    if place is not None:
        return place
    current = index.find(connection, bucket, key)
    if current is not None and current.version == version:
        return versions.current_place(connection, current)
    kept = versions.find(connection, bucket, key, version)
    return _FIRST if kept is None else kept.place


def _head(given: Document, found: Page, most: int, encode: Callable[[str], str]) -> Document:
    result: Document = {
        "Name": given["Bucket"],
        "Prefix": encode(given.get("Prefix", "")),
        "KeyMarker": encode(given.get("KeyMarker", "")),
        "VersionIdMarker": given.get("VersionIdMarker", ""),
        "MaxKeys": most,
        "IsTruncated": found.last is not None,
        "Versions": [],
        "DeleteMarkers": [],
        "CommonPrefixes": [{"Prefix": encode(each.decode())} for each in found.prefixes],
    }
    if given.get("Delimiter"):
        result["Delimiter"] = encode(given["Delimiter"])
    if given.get("EncodingType"):
        result["EncodingType"] = given["EncodingType"]
    if found.last is not None:
        key, version = found.last
        result["NextKeyMarker"] = encode(key.decode())
        if version:
            result["NextVersionIdMarker"] = version
    return result


def _marker(entry: Entry, encode: Callable[[str], str]) -> dict[str, Any]:
    return {"Key": encode(entry.key.decode()), "LastModified": datetime.fromtimestamp(entry.modified, UTC)}


def _entry(bucket: str, row: Row) -> Entry:
    found = dict(zip(_SHOWN, row, strict=True))
    return Entry(**{**found, "bucket": bucket, "key": bytes(found["key"])})
