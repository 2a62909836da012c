"""What buckets are set to, as it is stored: a configuration by name, read only where the bucket says that it has one.

Functions of a connection, to be used inside `Database.read` and `Database.write`. A bucket that sets nothing costs
nothing: its row, which every request reads anyway, says so (`Bucket.settings`).
"""

from __future__ import annotations

import secrets
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.services.s3.index import Bucket
from clary.store.objects_schema import bucket_settings, buckets
from clary.store.prepared import Prepared

_THIS = (bucket_settings.c.bucket == sa.bindparam("this_bucket"), bucket_settings.c.name == sa.bindparam("this_name"))
_FIND = Prepared(sa.select(bucket_settings.c.value).where(*_THIS))
_DROP = Prepared(bucket_settings.delete().where(*_THIS))


def stamp(bucket: Bucket, name: str) -> int | None:
    """A number that changes with the setting's value, None when it is not set: a key for what is made of the value."""
    return bucket.settings.get(name) if bucket.settings else None


def find(connection: Connection, bucket: Bucket, name: str) -> Any | None:
    """The configuration of that name, None when the bucket has none."""
    if stamp(bucket, name) is None:
        return None
    row = _FIND.first(connection, {"this_bucket": bucket.name, "this_name": name})
    return None if row is None else row[0]


def enter(connection: Connection, bucket: Bucket, name: str, value: Any) -> None:
    """Sets it, in place of what was set before. `bucket` has to be of the same transaction; `value` is what JSON can
    hold."""
    _drop(connection, bucket, name)
    connection.execute(bucket_settings.insert().values(bucket=bucket.name, name=name, value=value))
    _say(connection, bucket, {**(bucket.settings or {}), name: secrets.randbits(53)})


def remove(connection: Connection, bucket: Bucket, name: str) -> None:
    """Fine when it is not set."""
    if stamp(bucket, name) is None:
        return
    _drop(connection, bucket, name)
    _say(connection, bucket, {each: number for each, number in (bucket.settings or {}).items() if each != name})


def set_versioning(connection: Connection, bucket: str, status: str) -> None:
    connection.execute(buckets.update().where(buckets.c.name == bucket).values(versioning=status))


def _drop(connection: Connection, bucket: Bucket, name: str) -> None:
    _DROP.run(connection, {"this_bucket": bucket.name, "this_name": name})


def _say(connection: Connection, bucket: Bucket, settings: dict[str, int]) -> None:
    connection.execute(buckets.update().where(buckets.c.name == bucket.name).values(settings=settings or None))
