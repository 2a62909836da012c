"""Tags of resources, by ARN."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.errors import validation
from clary.store.schema import tags

_LIMIT = 50


def checked(given: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Key -> value. Raises ValidationException for a key given twice and for AWS's reserved prefix."""
    found: dict[str, str] = {}
    for tag in given:
        key = tag["Key"]
        if key.lower().startswith("aws:"):
            raise validation(f"Tag key {key!r} is not allowed: keys that begin with aws: are reserved for AWS use.")
        if key in found:
            raise validation(f"Duplicate tag keys found: {key!r} was given more than once.")
        found[key] = tag["Value"]
    return found


def put(connection: Connection, arn: str, given: Mapping[str, str]) -> None:
    """Adds or overwrites. Raises ValidationException over 50 tags."""
    if not given:
        return
    total = len({*of(connection, arn), *given})
    if total > _LIMIT:
        raise validation(f"A resource can have at most {_LIMIT} tags; this request would give {arn} {total}.")
    drop(connection, arn, given)
    connection.execute(tags.insert(), [{"arn": arn, "key": key, "value": value} for key, value in given.items()])


def of(connection: Connection, arn: str) -> dict[str, str]:
    """All tags of a resource, by key."""
    rows = connection.execute(sa.select(tags.c.key, tags.c.value).where(tags.c.arn == arn).order_by(tags.c.key))
    return {row.key: row.value for row in rows}


def drop(connection: Connection, arn: str, keys: Iterable[str]) -> None:
    """Keys that are not there are fine."""
    connection.execute(tags.delete().where(tags.c.arn == arn, tags.c.key.in_(list(keys))))


def drop_all(connection: Connection, arn: str) -> None:
    connection.execute(tags.delete().where(tags.c.arn == arn))
