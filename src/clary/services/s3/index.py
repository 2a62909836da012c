"""The object index: functions of a connection, to be used inside `Database.read` and `Database.write`. What is uploaded
in parts is in `uploads`.

Whatever drops a reference to a blob returns the blob's name; it is deleted from the store after the commit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.services.s3 import uploads
from clary.store.objects_schema import bucket_settings, buckets, contents, loans, objects, parts, versions
from clary.store.prepared import Numbered, Prepared, Row

UNVERSIONED = "null"

# What every request asks.
_THIS = (
    objects.c.bucket == sa.bindparam("this_bucket"),
    objects.c.key == sa.bindparam("this_key"),
)
_FIND_BUCKET = Prepared(sa.select(buckets).where(buckets.c.name == sa.bindparam("this_name")))
_FIND_BYTES = Prepared(sa.select(objects.c.blob, objects.c.upload, objects.c.content).where(*_THIS))
_REMOVE = Prepared(objects.delete().where(*_THIS))
_ENTER = Prepared(objects.insert())
_ENTER_CONTENT = Numbered(contents.insert().values(data=sa.bindparam("new_data")), contents.c.id)
_REMOVE_CONTENT = Prepared(contents.delete().where(contents.c.id == sa.bindparam("this_content")))


@dataclass(frozen=True, slots=True)
class Bucket:
    name: str
    account: str
    region: str
    created: float
    tags: dict[str, str] = field(default_factory=dict)
    versioning: str = ""
    settings: dict[str, int] | None = None


@dataclass(slots=True)  # frozen, it would take four times as long to make
class Entry:
    """An object: a row of `objects`, see there. Not changed once it is made. Times are epoch seconds, `etag` has no
    quotes. `data` are the bytes of a small object (encrypted, where the object is): for `put`, and by `find_whole`."""

    bucket: str
    key: bytes
    size: int
    etag: str
    modified: float
    blob: str = ""
    upload: str = ""
    version: str = UNVERSIONED
    storage_class: str = "STANDARD"
    checksum: dict[str, str] = field(default_factory=dict)
    headers: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    content: int | None = None
    acl: dict[str, Any] | None = None
    lock: dict[str, Any] | None = None
    encryption: dict[str, Any] | None = None
    restored: float | None = None
    data: bytes = b""


_COLUMNS = tuple(objects.c[each.name] for each in dataclasses.fields(Entry) if each.name != "data")  # in that order
_FIND = Prepared(sa.select(*_COLUMNS).where(*_THIS))
_DATA = (contents, contents.c.id == objects.c.content)
_FIND_WHOLE = Prepared(sa.select(*_COLUMNS, contents.c.data).outerjoin_from(objects, *_DATA).where(*_THIS))
_BOTH = (
    sa.select(*buckets.columns, *_COLUMNS)
    .outerjoin_from(buckets, objects, (objects.c.bucket == buckets.c.name) & _THIS[1])
    .where(buckets.c.name == sa.bindparam("this_bucket"))
)
_FIND_BOTH, _WIDTH = Prepared(_BOTH), len(buckets.columns)
_FIND_BOTH_WHOLE = Prepared(_BOTH.add_columns(contents.c.data).outerjoin(*_DATA))
_ENTRY = tuple(each.name for each in dataclasses.fields(Entry) if each.name not in ("content", "data"))


def find_bucket(connection: Connection, name: str) -> Bucket | None:
    if "\0" in name:  # PostgreSQL's text cannot even be compared with it
        return None
    row = _FIND_BUCKET.first(connection, {"this_name": name})
    return None if row is None else Bucket(*row)


def add_bucket(connection: Connection, bucket: Bucket) -> None:
    connection.execute(buckets.insert().values(**dataclasses.asdict(bucket)))


def list_buckets(
    connection: Connection, account: str, after: str, prefix: str, region: str, limit: int
) -> list[Bucket]:
    """By name, those after `after`; an empty `region` means any."""
    if "\0" in prefix + region:
        return []
    wanted = [buckets.c.account == account, buckets.c.name > after]
    if prefix:
        wanted.append(buckets.c.name.startswith(prefix, autoescape=True))
    if region:
        wanted.append(buckets.c.region == region)
    rows = connection.execute(sa.select(buckets).where(*wanted).order_by(buckets.c.name).limit(limit))
    return [Bucket(**row) for row in rows.mappings()]


def is_empty(connection: Connection, bucket: str) -> bool:
    """Versions that are not current and delete markers count too."""
    return all(
        connection.execute(sa.select(table.c.key).where(table.c.bucket == bucket).limit(1)).first() is None
        for table in (objects, versions)
    )


def remove_bucket(connection: Connection, name: str) -> list[str]:
    """Removes an empty bucket, what it is set to, and the uploads under way in it."""
    blobs = uploads.abort_all(connection, name)
    connection.execute(bucket_settings.delete().where(bucket_settings.c.bucket == name))
    connection.execute(buckets.delete().where(buckets.c.name == name))
    return blobs


def find(connection: Connection, bucket: str, key: bytes) -> Entry | None:
    row = _FIND.first(connection, _this(bucket, key))
    return None if row is None else _entry(row, None)


def find_whole(connection: Connection, bucket: str, key: bytes) -> Entry | None:
    """As `find`, with the bytes of a small object."""
    row = _FIND_WHOLE.first(connection, _this(bucket, key))
    return None if row is None else _entry(row[:-1], row[-1])


def find_both(connection: Connection, bucket: str, key: bytes, whole: bool) -> tuple[Bucket | None, Entry | None]:
    """`find_bucket` and `find` (or `find_whole`) as one statement."""
    statement = _FIND_BOTH_WHOLE if whole else _FIND_BOTH
    row = None if "\0" in bucket else statement.first(connection, _this(bucket, key))
    if row is None:
        return None, None
    found, of_object = Bucket(*row[:_WIDTH]), row[_WIDTH:]
    if of_object[0] is None:
        return found, None
    return found, _entry(of_object[:-1], of_object[-1]) if whole else _entry(of_object, None)


def put(connection: Connection, entry: Entry) -> list[str]:
    """Enters the object in place of what was there."""
    freed = remove(connection, entry.bucket, entry.key)
    content = _ENTER_CONTENT.insert(connection, {"new_data": entry.data}) if entry.data else None
    _ENTER.run(connection, {**{name: getattr(entry, name) for name in _ENTRY}, "content": content})
    return freed


def remove(connection: Connection, bucket: str, key: bytes) -> list[str]:
    row = _FIND_BYTES.first(connection, _this(bucket, key))
    if row is None:
        return []
    forget(connection, bucket, key)
    return free(connection, *row)


def forget(connection: Connection, bucket: str, key: bytes) -> None:
    """Removes the row alone: another one names the bytes."""
    _REMOVE.run(connection, _this(bucket, key))


def free(connection: Connection, blob: str, upload: str, content: int | None) -> list[str]:
    """The bytes of a row that is gone."""
    if content is not None:
        _REMOVE_CONTENT.run(connection, {"this_content": content})
    if upload:
        return uploads.remove_parts(connection, upload)
    return [blob] if blob else []


def named(connection: Connection, blobs: Sequence[str]) -> set[str]:
    """Those of `blobs` that some row names."""
    found: set[str] = set()
    for table in (objects, versions, parts, loans):
        found.update(connection.scalars(sa.select(table.c.blob).where(table.c.blob.in_(blobs))))
    return found


def _entry(row: Row, data: bytes | None) -> Entry:
    """`row` is of `_COLUMNS`."""
    values = [*row, bytes(data or b"")]
    values[1] = bytes(values[1])  # the key
    return Entry(*values)


def _this(bucket: str, key: bytes) -> dict[str, Any]:
    return {"this_bucket": bucket, "this_key": key}
