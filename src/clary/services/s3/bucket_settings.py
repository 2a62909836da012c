"""What buckets are set to, as it is stored: a configuration by name, read only where the bucket says that it has one.

Functions of a connection, to be used inside `Database.read` and `Database.write`. A bucket that sets nothing costs
nothing: its row, which every request reads anyway, says so (`Bucket.settings`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.services.s3.index import Bucket, find_bucket
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


def having(connection: Connection, name: str) -> list[str]:
    """The buckets that are set to something of that name."""
    wanted = sa.select(bucket_settings.c.bucket).where(bucket_settings.c.name == name)
    return list(connection.scalars(wanted.order_by(bucket_settings.c.bucket)))


def enter(connection: Connection, bucket: Bucket, name: str, value: Any) -> None:
    """Sets it, in place of what was set before. `value` is what JSON can hold."""
    _drop(connection, bucket, name)
    connection.execute(bucket_settings.insert().values(bucket=bucket.name, name=name, value=value))
    _say(connection, bucket, lambda settings: {**settings, name: secrets.randbits(53)})


def remove(connection: Connection, bucket: Bucket, name: str) -> None:
    """Fine when it is not set."""
    _drop(connection, bucket, name)
    _say(connection, bucket, lambda settings: {each: settings[each] for each in settings if each != name})


def set_tags(connection: Connection, bucket: str, tags: dict[str, str]) -> None:
    connection.execute(buckets.update().where(buckets.c.name == bucket).values(tags=tags))


def set_versioning(connection: Connection, bucket: str, status: str) -> None:
    connection.execute(buckets.update().where(buckets.c.name == bucket).values(versioning=status))


def _drop(connection: Connection, bucket: Bucket, name: str) -> None:
    _DROP.run(connection, {"this_bucket": bucket.name, "this_name": name})


def _say(connection: Connection, bucket: Bucket, change: Callable[[dict[str, int]], dict[str, int]]) -> None:
    present = find_bucket(connection, bucket.name)  # the caller's may be from before another setting
    settings = change((present.settings if present is not None else None) or {})
    connection.execute(buckets.update().where(buckets.c.name == bucket.name).values(settings=settings or None))
