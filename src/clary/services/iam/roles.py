"""Roles: what SageMaker's resources act as."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from sqlalchemy.engine import Connection

from clary.services.iam import (
    attached_policies,
    documents,
    entities,
    errors,
    generation,
    inline_policies,
    policies,
    principals,
    shapes,
    tags,
)
from clary.services.iam.identifiers import unique_id
from clary.services.operation import Call, Document, Operations
from clary.store import records
from clary.store.records import Record

operations = Operations()

_OURS = ("InlinePolicies", "AttachedPolicies", "LastUsed")


def role_arn(account: str, path: str, name: str) -> str:
    return entities.ROLE.arn(account, path, name)


def new_role(account: str, given: Document, now: float) -> Record:
    """A role's record from CreateRole's parameters. Raises ServiceError."""
    path, name = given.get("Path") or "/", given["RoleName"]
    arn = role_arn(account, path, name)
    document: Document = {
        "Path": path,
        "RoleName": name,
        "RoleId": unique_id(entities.ROLE.id_prefix),
        "Arn": arn,
        "CreateDate": now,
        "AssumeRolePolicyDocument": documents.check_trust(given["AssumeRolePolicyDocument"]),
        "MaxSessionDuration": given.get("MaxSessionDuration", 3600),
        "Tags": shapes.merged_tags((), given.get("Tags", ())),
        "InlinePolicies": {},
        "AttachedPolicies": [],
    }
    document |= {name: given[name] for name in ("Description", "PermissionsBoundary") if name in given}
    return Record(shapes.ROLE, account, shapes.REGION, arn, name, "", now, now, document)


def find(connection: Connection, account: str, name: str) -> Record:
    """Raises NoSuchEntity."""
    return entities.find(connection, entities.ROLE, account, name)


def shown(connection: Connection, record: Record, brief: bool = False) -> Document:
    """As answers show it; `brief` as ListRoles does, without tags, boundary and last use."""
    return _told(record, principals.known(connection, (_trust(record),)), brief)


def _trust(record: Record) -> str:
    return str(record.document["AssumeRolePolicyDocument"])


def _told(record: Record, known: Mapping[str, str], brief: bool) -> Document:
    """`known`: the ARNs of whom its trust policy names."""
    answer = {name: value for name, value in record.document.items() if name not in _OURS}
    answer["CreateDate"] = shapes.when(answer["CreateDate"])
    answer["AssumeRolePolicyDocument"] = documents.quoted(principals.told(_trust(record), known))
    shapes.show_boundary(answer)
    if brief:
        answer.pop("PermissionsBoundary", None)
    else:
        answer["RoleLastUsed"] = shapes.last_use(record.document)
    if brief or not answer["Tags"]:
        del answer["Tags"]
    return answer


def insert(connection: Connection, record: Record) -> Document:
    """How answers show it, once it is there. Raises EntityAlreadyExists and NoSuchEntity (for its boundary)."""
    taken = f"Role with name {record.name} already exists."
    entities.enter(connection, record, taken)
    if "PermissionsBoundary" in record.document:
        policies.check_boundary(connection, record.account, record.document["PermissionsBoundary"])
    answer = shown(connection, record)
    del answer["RoleLastUsed"]
    return answer


@operations.handles("CreateRole")
def create_role(call: Call, given: Document) -> Document:
    if (given.get("Path") or "/").startswith(entities.SERVICE_PATH):
        raise errors.invalid("The specified path is reserved for service-linked roles: use CreateServiceLinkedRole.")
    record = new_role(call.account, given, call.platform.clock.now())
    trust = documents.pinned(call, record.document["AssumeRolePolicyDocument"])
    record = replace(record, document={**record.document, "AssumeRolePolicyDocument": trust})
    return {"Role": generation.write(call, lambda connection: insert(connection, record))}


@operations.handles("GetRole")
def get_role(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        return {"Role": shown(connection, find(connection, call.account, given["RoleName"]))}

    return call.platform.stores.records.read(work)


@operations.handles("ListRoles")
def list_roles(call: Call, given: Document) -> Document:
    query = shapes.listing(call, shapes.ROLE, "role", given)

    def work(connection: Connection) -> Document:
        found = records.select(connection, query)
        known = principals.known(connection, map(_trust, found))
        return shapes.paged(found, given, "Roles", lambda record: _told(record, known, True))

    return call.platform.stores.records.read(work)


@operations.handles("DeleteRole")
def delete_role(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        record = find(connection, call.account, given["RoleName"])
        if any(record.name in each.document["Roles"] for each in _profiles(connection, call.account)):
            raise errors.conflict("Cannot delete entity, must remove roles from instance profile first.")
        entities.check_deletable(record)
        records.delete(connection, record)
        return {}

    return generation.write(call, work)


def _profiles(connection: Connection, account: str) -> list[Record]:
    return entities.every(connection, shapes.INSTANCE_PROFILE, account)


@operations.handles("UpdateRole")
def update_role(call: Call, given: Document) -> Document:
    members: Document = {name: given[name] for name in ("Description", "MaxSessionDuration") if name in given}
    return _changed(call, given, lambda _: members)


@operations.handles("UpdateRoleDescription")
def update_role_description(call: Call, given: Document) -> Document:
    _changed(call, given, lambda _: {"Description": given["Description"]})
    return get_role(call, given)


@operations.handles("UpdateAssumeRolePolicy")
def update_assume_role_policy(call: Call, given: Document) -> Document:
    trust = documents.check_trust(given["PolicyDocument"])
    pinned = documents.pinned(call, trust)
    return _changed(call, given, lambda _: {"AssumeRolePolicyDocument": pinned})


def _changed(call: Call, given: Document, members: Callable[[Connection], Document]) -> Document:
    def work(connection: Connection) -> Document:
        role = find(connection, call.account, given["RoleName"])
        entities.change(call, connection, role, **members(connection))
        return {}

    return generation.write(call, work)


inline_policies.serve(operations, entities.ROLE)
attached_policies.serve(operations, entities.ROLE)
tags.serve(operations, "Role", "RoleName", find)
