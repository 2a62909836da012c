"""Tags of whatever in IAM can have some: Tag, Untag and List are the same for all."""

from __future__ import annotations

import functools
from collections.abc import Callable

from sqlalchemy.engine import Connection

from clary.services.iam import entities, generation, shapes
from clary.services.operation import Call, Document, Operations
from clary.store.records import Record

Tags = list[dict[str, str]]
Find = Callable[[Connection, str, str], Record]  # of an account, by what the operations name it; raises NoSuchEntity


def serve(operations: Operations, noun: str, member: str, find: Find) -> None:
    """`noun` as in TagRole, `member` the parameter that names the resource."""
    operations.add(f"Tag{noun}", functools.partial(_tag, member, find))
    operations.add(f"Untag{noun}", functools.partial(_untag, member, find))
    operations.add(f"List{noun}Tags", functools.partial(_list, member, find))


def _tag(member: str, find: Find, call: Call, given: Document) -> Document:
    return _changed(member, find, call, given, lambda tags: shapes.merged_tags(tags, given["Tags"]))


def _untag(member: str, find: Find, call: Call, given: Document) -> Document:
    return _changed(member, find, call, given, lambda tags: shapes.without_tags(tags, given["TagKeys"]))


def _changed(member: str, find: Find, call: Call, given: Document, changed: Callable[[Tags], Tags]) -> Document:
    def work(connection: Connection) -> Document:
        record = find(connection, call.account, given[member])
        entities.change(call, connection, record, Tags=changed(record.document["Tags"]))
        return {}

    return generation.write(call, work)


def _list(member: str, find: Find, call: Call, given: Document) -> Document:
    record = call.platform.stores.records.read(lambda connection: find(connection, call.account, given[member]))
    return shapes.page(record.document["Tags"], given, "Tags", dict, lambda tag: str(tag["Key"]))
