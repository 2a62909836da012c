"""The part of the object index that multipart uploads fill: those under way, and the parts that completed objects are
made of. As in `index`, whatever drops a reference to a blob returns the blob's name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.store.objects_schema import parts, uploads


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload under way. `checksum` is {algorithm, type} or {}."""

    id: str
    bucket: str
    key: bytes
    initiator: str
    started: float
    storage_class: str
    checksum: dict[str, str]
    headers: dict[str, Any]
    metadata: dict[str, str]
    tags: dict[str, str]
    acl: dict[str, Any] | None = None
    lock: dict[str, Any] | None = None
    encryption: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Part:
    upload: str
    number: int
    blob: str
    size: int
    etag: str
    modified: float
    checksum: dict[str, str]
    at: int = 0


def add(connection: Connection, upload: Upload) -> None:
    connection.execute(uploads.insert().values(**dataclasses.asdict(upload)))


def find(connection: Connection, bucket: str, key: bytes, upload: str) -> Upload | None:
    if "\0" in upload:
        return None
    wanted = (uploads.c.id == upload, uploads.c.bucket == bucket, uploads.c.key == key)
    row = connection.execute(sa.select(uploads).where(*wanted)).mappings().first()
    return None if row is None else Upload(**row)


def abort(connection: Connection, upload: str) -> list[str]:
    connection.execute(uploads.delete().where(uploads.c.id == upload))
    return remove_parts(connection, upload)


def abort_all(connection: Connection, bucket: str) -> list[str]:
    """Every upload under way in the bucket."""
    doomed = sa.select(uploads.c.id).where(uploads.c.bucket == bucket)
    blobs = list(connection.scalars(sa.select(parts.c.blob).where(parts.c.upload.in_(doomed))))
    connection.execute(parts.delete().where(parts.c.upload.in_(doomed)))
    connection.execute(uploads.delete().where(uploads.c.bucket == bucket))
    return blobs


def scan(connection: Connection, bucket: str, start: tuple[bytes, str], end: bytes | None, limit: int) -> list[Upload]:
    """Uploads with start < (key, id) and key < end, in order."""
    table = uploads.c
    here = sa.tuple_(table.key, table.id)
    identifier = start[1].partition("\0")[0]  # the same place: identifiers have no NUL
    there = sa.tuple_(sa.literal(start[0], sa.LargeBinary), sa.literal(identifier))
    wanted = [table.bucket == bucket, here > there]
    if end is not None:
        wanted.append(table.key < end)
    rows = connection.execute(sa.select(uploads).where(*wanted).order_by(table.key, table.id).limit(limit))
    return [Upload(**row) for row in rows.mappings()]


def put_part(connection: Connection, part: Part) -> list[str]:
    here = (parts.c.upload == part.upload, parts.c.number == part.number)
    freed = list(connection.scalars(sa.select(parts.c.blob).where(*here)))
    connection.execute(parts.delete().where(*here))
    connection.execute(parts.insert().values(**dataclasses.asdict(part)))
    return freed


def list_parts(connection: Connection, upload: str, after: int = 0, limit: int | None = None) -> list[Part]:
    """By number, those after `after`."""
    wanted = (parts.c.upload == upload, parts.c.number > after)
    rows = connection.execute(sa.select(parts).where(*wanted).order_by(parts.c.number).limit(limit))
    return [Part(**row) for row in rows.mappings()]


def close(connection: Connection, upload: str, chosen: Sequence[Part]) -> list[str]:
    """Makes `chosen`, in that order, the bytes of an object; drops the upload and its other parts."""
    kept = {part.number for part in chosen}
    dropped = [part for part in list_parts(connection, upload) if part.number not in kept]
    if dropped:
        this = (parts.c.upload == upload, parts.c.number == sa.bindparam("dropped"))
        connection.execute(parts.delete().where(*this), [{"dropped": part.number} for part in dropped])
    this = (parts.c.upload == upload, parts.c.number == sa.bindparam("chosen"))
    offsets, at = [], 0
    for part in chosen:
        offsets.append({"chosen": part.number, "begin": at})
        at += part.size
    connection.execute(parts.update().where(*this).values(at=sa.bindparam("begin")), offsets)
    connection.execute(uploads.delete().where(uploads.c.id == upload))
    return [part.blob for part in dropped]


def remove_parts(connection: Connection, upload: str) -> list[str]:
    """Those of an upload under way, or of an object that is gone."""
    blobs = list(connection.scalars(sa.select(parts.c.blob).where(parts.c.upload == upload)))
    connection.execute(parts.delete().where(parts.c.upload == upload))
    return blobs
