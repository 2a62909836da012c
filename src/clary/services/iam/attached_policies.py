"""Managed policies attached to users, groups and roles, and set as the permissions boundary of users and roles."""

from __future__ import annotations

import functools

from sqlalchemy.engine import Connection

from clary.services.iam import entities, errors, generation, policies, shapes
from clary.services.iam.entities import Entity
from clary.services.operation import Call, Document, Operations

_MOST = 10


def serve(operations: Operations, entity: Entity) -> None:
    """Enters Attach, Detach and List, and for users and roles the boundary's Put and Delete."""
    operations.add(f"Attach{entity.noun}Policy", functools.partial(_attach, entity))
    operations.add(f"Detach{entity.noun}Policy", functools.partial(_detach, entity))
    operations.add(f"ListAttached{entity.noun}Policies", functools.partial(_list, entity))
    if entity is not entities.GROUP:
        operations.add(f"Put{entity.noun}PermissionsBoundary", functools.partial(_bound, entity))
        operations.add(f"Delete{entity.noun}PermissionsBoundary", functools.partial(_unbound, entity))


def _attach(entity: Entity, call: Call, given: Document) -> Document:
    arn = given["PolicyArn"]

    def work(connection: Connection) -> Document:
        record = entities.find(connection, entity, call.account, given[entity.member])
        if not policies.attachable(connection, call.account, arn):
            raise errors.no_such(f"Policy {arn} does not exist or is not attachable.")
        attached = record.document["AttachedPolicies"]
        if arn in attached:
            return {}
        if len(attached) >= _MOST:
            raise errors.limit(f"Cannot exceed quota for PoliciesPer{entity.noun}: {_MOST}")
        entities.change(call, connection, record, AttachedPolicies=[*attached, arn])
        return {}

    return generation.write(call, work)


def _detach(entity: Entity, call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        record = entities.find(connection, entity, call.account, given[entity.member])
        attached = list(record.document["AttachedPolicies"])
        if given["PolicyArn"] not in attached:
            raise errors.no_policy(given["PolicyArn"])
        attached.remove(given["PolicyArn"])
        entities.change(call, connection, record, AttachedPolicies=attached)
        return {}

    return generation.write(call, work)


def _list(entity: Entity, call: Call, given: Document) -> Document:
    record = call.platform.stores.records.read(
        lambda connection: entities.find(connection, entity, call.account, given[entity.member])
    )
    prefix = given.get("PathPrefix", "/")
    arns = [arn for arn in record.document["AttachedPolicies"] if policies.path_of(arn).startswith(prefix)]
    return shapes.page(arns, given, "AttachedPolicies", policies.reference, policies.name_of)


def _bound(entity: Entity, call: Call, given: Document) -> Document:
    arn = given["PermissionsBoundary"]

    def work(connection: Connection) -> Document:
        record = entities.find(connection, entity, call.account, given[entity.member])
        policies.check_boundary(connection, call.account, arn)
        entities.change(call, connection, record, PermissionsBoundary=arn)
        return {}

    return generation.write(call, work)


def _unbound(entity: Entity, call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        record = entities.find(connection, entity, call.account, given[entity.member])
        if "PermissionsBoundary" not in record.document:
            raise errors.no_such(f"{entity.noun} {record.name} does not have a permissions boundary.")
        entities.change(call, connection, record, PermissionsBoundary=None)
        return {}

    return generation.write(call, work)
