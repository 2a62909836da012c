"""Policies that are written into a user, a group or a role."""

from __future__ import annotations

import functools

from sqlalchemy.engine import Connection

from clary.services.iam import documents, entities, errors, generation, shapes
from clary.services.iam.entities import Entity
from clary.services.operation import Call, Document, Operations


def serve(operations: Operations, entity: Entity) -> None:
    """Enters Put, Get, List and Delete for this kind of entity."""
    operations.add(f"Put{entity.noun}Policy", functools.partial(_put, entity))
    operations.add(f"Get{entity.noun}Policy", functools.partial(_get, entity))
    operations.add(f"List{entity.noun}Policies", functools.partial(_list, entity))
    operations.add(f"Delete{entity.noun}Policy", functools.partial(_delete, entity))


def _put(entity: Entity, call: Call, given: Document) -> Document:
    text = documents.check_identity(given["PolicyDocument"])

    def work(connection: Connection) -> Document:
        record = entities.find(connection, entity, call.account, given[entity.member])
        inline = {**record.document["InlinePolicies"], given["PolicyName"]: text}
        if sum(documents.size(each) for each in inline.values()) > entity.inline_limit:
            what = f"{entity.word} {record.name}"
            raise errors.limit(f"Maximum policy size of {entity.inline_limit} bytes exceeded for {what}")
        entities.change(call, connection, record, InlinePolicies=inline)
        return {}

    return generation.write(call, work)


def _get(entity: Entity, call: Call, given: Document) -> Document:
    inline, name = _inline(entity, call, given), given["PolicyName"]
    if name not in inline:
        raise _missing(entity, name)
    shown = {entity.member: given[entity.member], "PolicyName": name}
    return {**shown, "PolicyDocument": documents.quoted(inline[name])}


def _list(entity: Entity, call: Call, given: Document) -> Document:
    return shapes.page(list(_inline(entity, call, given)), given, "PolicyNames", str, str)


def _delete(entity: Entity, call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        record = entities.find(connection, entity, call.account, given[entity.member])
        inline = dict(record.document["InlinePolicies"])
        if inline.pop(given["PolicyName"], None) is None:
            raise _missing(entity, given["PolicyName"])
        entities.change(call, connection, record, InlinePolicies=inline)
        return {}

    return generation.write(call, work)


def _inline(entity: Entity, call: Call, given: Document) -> dict[str, str]:
    def work(connection: Connection) -> dict[str, str]:
        found: dict[str, str] = entities.find(connection, entity, call.account, given[entity.member]).document[
            "InlinePolicies"
        ]
        return found

    return call.platform.stores.records.read(work)


def _missing(entity: Entity, name: str) -> Exception:
    return errors.no_such(f"The {entity.word} policy with name {name} cannot be found.")
