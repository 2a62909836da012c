"""Versions: what versioned buckets keep besides the current object of each key, and what becomes current.

Functions of a connection, as in `index`. A key's history is its row in `objects`, if it has one, and its rows in
`versions` behind it, by `place`. A delete marker is always in `versions`; where it is the newest, `objects` has no row
of that key. An identifier says its version's place, so that a listing goes on behind a version that is gone.
"""

from __future__ import annotations

import dataclasses
import re
import secrets
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.services.s3 import index
from clary.services.s3.index import UNVERSIONED, Bucket, Entry
from clary.store.objects_schema import contents, objects, versions
from clary.store.prepared import Prepared, Row

ENABLED, SUSPENDED = "Enabled", "Suspended"

_DIGITS = "0123456789abcdefghijklmnopqrstuv"  # in the order of their values
_PLACE_DIGITS, _NOISE_DIGITS = 13, 19
_ID = re.compile(rf"[{_DIGITS}]{{{_PLACE_DIGITS + _NOISE_DIGITS}}}")

_COLUMNS = tuple(column.name for column in objects.columns)
_THIS = (versions.c.bucket == sa.bindparam("this_bucket"), versions.c.key == sa.bindparam("this_key"))
_HERE = (*_THIS, versions.c.place == sa.bindparam("this_place"))
_ROW = (versions.c.place, versions.c.marker, *(versions.c[name] for name in _COLUMNS), contents.c.data)
_SELECT = sa.select(*_ROW).outerjoin_from(versions, contents, contents.c.id == versions.c.content)
_FIND = Prepared(_SELECT.where(*_THIS, versions.c.version == sa.bindparam("this_version")))
_NEWEST = Prepared(_SELECT.where(*_THIS).order_by(versions.c.place).limit(1))
_NEWEST_PLACE = Prepared(sa.select(sa.func.min(versions.c.place)).where(*_THIS))
_COUNT = Prepared(sa.select(sa.func.count()).select_from(versions).where(*_THIS))
_KEEP = Prepared(
    versions.insert().from_select(
        ["place", "marker", *_COLUMNS],
        sa.select(sa.bindparam("place", type_=sa.BigInteger), sa.false(), *objects.columns).where(
            objects.c.bucket == sa.bindparam("this_bucket"), objects.c.key == sa.bindparam("this_key")
        ),
    )
)
_PROMOTE = Prepared(
    objects.insert().from_select(_COLUMNS, sa.select(*(versions.c[name] for name in _COLUMNS)).where(*_HERE))
)
_ENTER = Prepared(versions.insert())
_DROP = Prepared(versions.delete().where(*_HERE))


@dataclass(frozen=True, slots=True)
class Kept:
    """A version in a key's history; of a delete marker only key, version and time of the `entry` mean something."""

    entry: Entry
    place: int
    marker: bool = False


@dataclass(frozen=True, slots=True)
class Deleted:
    """What a deletion did: the blobs that nothing names any more, the version it removed or made ("" where the bucket
    has none), whether that is a delete marker, and whether it was made."""

    freed: list[str]
    version: str = ""
    marker: bool = False
    made: bool = False


def is_id(text: str) -> bool:
    """Whether it can be a version's identifier."""
    return text == UNVERSIONED or _ID.fullmatch(text) is not None


def place_of(version: str) -> int | None:
    """None for "null", which has none of its own."""
    return -int(version[:_PLACE_DIGITS], 32) if _ID.fullmatch(version) else None


def _new_id(place: int) -> str:
    left, digits = (-place << 5 * _NOISE_DIGITS) | secrets.randbits(5 * _NOISE_DIGITS), ""
    for _ in range(_PLACE_DIGITS + _NOISE_DIGITS):
        digits = _DIGITS[left & 31] + digits
        left >>= 5
    return digits


def shown(bucket: Bucket, entry: Entry) -> dict[str, str]:
    """As a member of an answer about the entry; nothing in a bucket that was never versioned."""
    return {"VersionId": entry.version} if bucket.versioning else {}


def find(connection: Connection, bucket: str, key: bytes, version: str) -> Kept | None:
    """One that is not current (or a marker), with the bytes of a small object."""
    row = _FIND.first(connection, {**_this(bucket, key), "this_version": version})
    return None if row is None else _kept(row)


def newest(connection: Connection, bucket: str, key: bytes) -> Kept | None:
    """The newest that is not in `objects`: current itself when that has none of the key, and then a delete marker."""
    row = _NEWEST.first(connection, _this(bucket, key))
    return None if row is None else _kept(row)


def count(connection: Connection, bucket: str, key: bytes) -> int:
    """Of those that are not in `objects`."""
    return int(_COUNT.rows(connection, _this(bucket, key))[0][0])


def put(connection: Connection, bucket: Bucket, entry: Entry) -> tuple[Entry, list[str]]:
    """Makes the entry current, as the bucket's versioning wants it; returns it with its version, and freed blobs."""
    if not bucket.versioning:
        return entry, index.put(connection, entry)
    if bucket.versioning == ENABLED:
        place = _make_room(connection, bucket.name, entry.key, entry.modified)
        entry, freed = dataclasses.replace(entry, version=_new_id(place)), []
    else:
        freed = _make_room_for_null(connection, bucket.name, entry.key)
    return entry, [*freed, *index.put(connection, entry)]


def delete(connection: Connection, bucket: Bucket, key: bytes, now: float) -> Deleted:
    """What DELETE without a version does: a versioned bucket keeps the object, behind a delete marker."""
    if not bucket.versioning:
        return Deleted(index.remove(connection, bucket.name, key))
    freed: list[str] = []
    if bucket.versioning == SUSPENDED:
        freed = _make_room_for_null(connection, bucket.name, key)
        freed += index.remove(connection, bucket.name, key)
    place = _make_room(connection, bucket.name, key, now)
    version = _new_id(place) if bucket.versioning == ENABLED else UNVERSIONED
    marker = dataclasses.asdict(Entry(bucket.name, key, 0, "", now, version=version))
    del marker["data"]
    _ENTER.run(connection, {**marker, "place": place, "marker": True})
    return Deleted(freed, version, marker=True, made=True)


def delete_version(connection: Connection, bucket: Bucket, key: bytes, version: str) -> Deleted:
    """Removes it for good; when it was current, the next one is. Fine when there is no such version."""
    shown = version if bucket.versioning else ""
    current = index.find(connection, bucket.name, key)
    if current is not None and current.version == version:
        freed = index.remove(connection, bucket.name, key)
        _promote(connection, bucket.name, key)
        return Deleted(freed, shown)
    kept = find(connection, bucket.name, key, version)
    if kept is None:
        return Deleted([], shown)
    freed = remove(connection, kept)
    if current is None:
        _promote(connection, bucket.name, key)
    return Deleted(freed, shown, kept.marker)


def remove(connection: Connection, kept: Kept) -> list[str]:
    """Takes one that is not current out of the history."""
    entry = kept.entry
    _DROP.run(connection, {**_this(entry.bucket, entry.key), "this_place": kept.place})
    return index.free(connection, entry.blob, entry.upload, entry.content)


def change(connection: Connection, entry: Entry, **columns: object) -> None:
    """Writes `columns` (tags, acl, lock, storage_class) of the entry's version, current or not."""
    for table in (objects, versions):
        this = (table.c.bucket == entry.bucket, table.c.key == entry.key, table.c.version == entry.version)
        if connection.execute(table.update().where(*this).values(**columns)).rowcount:
            return


def current_place(connection: Connection, current: Entry) -> int:
    """Where the current object of a key stands among its versions: before all others."""
    place = place_of(current.version)
    return _before(connection, current.bucket, current.key, current.modified) if place is None else place


def _make_room(connection: Connection, bucket: str, key: bytes, now: float) -> int:
    """Moves the current object, if there is one, to the versions. Returns the place of what comes before it."""
    current = index.find(connection, bucket, key)
    if current is None:
        return _before(connection, bucket, key, now)
    place = current_place(connection, current)
    _KEEP.run(connection, {**_this(bucket, key), "place": place})
    index.forget(connection, bucket, key)
    return min(_counting_down(now), place - 1)


def _make_room_for_null(connection: Connection, bucket: str, key: bytes) -> list[str]:
    """A key has one "null" version at most: the one there is goes, unless it is current (and then gives way itself)."""
    current = index.find(connection, bucket, key)
    if current is not None and current.version == UNVERSIONED:
        return []
    kept = find(connection, bucket, key, UNVERSIONED)
    freed = [] if kept is None else remove(connection, kept)
    if current is not None:
        _make_room(connection, bucket, key, current.modified)
    return freed


def _promote(connection: Connection, bucket: str, key: bytes) -> None:
    kept = newest(connection, bucket, key)
    if kept is not None and not kept.marker:
        here = {**_this(bucket, key), "this_place": kept.place}
        _PROMOTE.run(connection, here)
        _DROP.run(connection, here)


def _before(connection: Connection, bucket: str, key: bytes, when: float) -> int:
    row = _NEWEST_PLACE.first(connection, _this(bucket, key))
    place = _counting_down(when)
    return place if row is None or row[0] is None else min(place, row[0] - 1)


def _counting_down(when: float) -> int:
    return -round(when * 1e9)


def _kept(row: Row) -> Kept:
    place, marker, *columns, data = row
    values = dict(zip(_COLUMNS, columns, strict=True))
    return Kept(Entry(**{**values, "key": bytes(values["key"])}, data=bytes(data or b"")), place, bool(marker))


def _this(bucket: str, key: bytes) -> dict[str, object]:
    return {"this_bucket": bucket, "this_key": key}
