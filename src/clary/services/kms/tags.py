"""Tags of keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy.engine import Connection

from clary.services import tagging
from clary.services.kms import faults, keys, paging
from clary.services.kms.asking import Asker
from clary.services.kms.changing import changing
from clary.services.operation import Call, Document, Operations
from clary.store.records import Record

operations = Operations()

_MOST = 50
_TAGGABLE = (keys.ENABLED, keys.DISABLED, keys.PENDING_IMPORT)


def checked(given: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Key -> value. Raises TagException."""
    pairs = [(tag["TagKey"], tag["TagValue"]) for tag in given]
    if any(key.lower().startswith("aws:") for key, _ in pairs):
        raise faults.tag("Tags beginning with aws: are reserved")
    if len({key for key, _ in pairs}) != len(pairs):
        raise faults.tag("Duplicate tag keys")
    if len(pairs) > _MOST:
        raise faults.tag("Too many tags")
    return dict(pairs)


def write(connection: Connection, arn: str, named: Mapping[str, str]) -> None:
    """Adds or overwrites. Raises TagException."""
    if len({*tagging.of(connection, arn), *named}) > _MOST:
        raise faults.tag("Too many tags")
    tagging.put(connection, arn, named)


@operations.handles("TagResource")
def tag_resource(call: Call, given: Document) -> Document:
    named = checked(given["Tags"])

    def change(connection: Connection, record: Record, _: float) -> None:
        keys.require_state(record, *_TAGGABLE)
        write(connection, record.arn, named)

    changing(call, given, change)
    return {}


@operations.handles("UntagResource")
def untag_resource(call: Call, given: Document) -> Document:
    def change(connection: Connection, record: Record, _: float) -> None:
        keys.require_state(record, *_TAGGABLE)
        tagging.drop(connection, record.arn, given["TagKeys"])

    changing(call, given, change)
    return {}


@operations.handles("ListResourceTags")
def list_resource_tags(call: Call, given: Document) -> Document:
    asker = Asker.of(call, given)
    found = call.platform.stores.records.read(
        lambda connection: tagging.of(connection, keys.find(connection, asker, given["KeyId"]).arn)
    )
    return paging.of_items(call, given, [(key, (key, found[key])) for key in sorted(found)], "Tags", _shown)


def _shown(tag: tuple[str, str]) -> Document:
    return {"TagKey": tag[0], "TagValue": tag[1]}
