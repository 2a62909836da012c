"""Roles: what SageMaker's resources act as."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from clary.services.iam import (
    attached_policies,
    documents,
    entities,
    errors,
    generation,
    inline_policies,
    policies,
    references,
    shapes,
    tags,
)
from clary.services.iam.identifiers import unique_id
from clary.services.operation import Call, Document, Operations
from clary.store import records
from clary.store.records import NameTaken, Record

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


def shown(record: Record, brief: bool = False) -> Document:
    """As answers show it; `brief` as ListRoles does, without tags, boundary and last use."""
    answer = {name: value for name, value in record.document.items() if name not in _OURS}
    answer["CreateDate"] = shapes.when(answer["CreateDate"])
    answer["AssumeRolePolicyDocument"] = documents.quoted(answer["AssumeRolePolicyDocument"])
    shapes.show_boundary(answer)
    if brief:
        answer.pop("PermissionsBoundary", None)
    else:
        answer["RoleLastUsed"] = shapes.last_use(record.document)
    if brief or not answer["Tags"]:
        del answer["Tags"]
    return answer


def insert(connection: Connection, record: Record) -> None:
    """Raises EntityAlreadyExists and NoSuchEntity (for its boundary)."""
    taken = f"Role with name {record.name} already exists."
    entities.check_free(connection, shapes.ROLE, record.account, str(record.name), taken)
    if "PermissionsBoundary" in record.document:
        policies.check_boundary(connection, record.account, record.document["PermissionsBoundary"])
    try:
        records.insert(connection, record)
    except NameTaken:
        raise errors.exists(taken) from None


@operations.handles("CreateRole")
def create_role(call: Call, given: Document) -> Document:
    if (given.get("Path") or "/").startswith(entities.SERVICE_PATH):
        raise errors.invalid("The specified path is reserved for service-linked roles: use CreateServiceLinkedRole.")
    record = new_role(call.account, given, call.platform.clock.now())
    generation.write(call, lambda connection: insert(connection, record))
    answer = shown(record)
    del answer["RoleLastUsed"]
    return {"Role": answer}


@operations.handles("GetRole")
def get_role(call: Call, given: Document) -> Document:
    record = call.platform.stores.records.read(lambda connection: find(connection, call.account, given["RoleName"]))
    return {"Role": shown(record)}


@operations.handles("ListRoles")
def list_roles(call: Call, given: Document) -> Document:
    query = shapes.listing(call, shapes.ROLE, "role", given)
    found = call.platform.stores.records.read(lambda connection: records.select(connection, query))
    return shapes.paged(found, given, "Roles", lambda record: shown(record, brief=True))


@operations.handles("DeleteRole")
def delete_role(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Record:
        record = find(connection, call.account, given["RoleName"])
        if any(record.name in each.document["Roles"] for each in _profiles(connection, call.account)):
            raise errors.conflict("Cannot delete entity, must remove roles from instance profile first.")
        entities.check_deletable(record)
        records.delete(connection, record)
        references.pin(connection, record)
        return record

    references.in_buckets(call, generation.write(call, work), None)
    return {}


def _profiles(connection: Connection, account: str) -> list[Record]:
    return entities.every(connection, shapes.INSTANCE_PROFILE, account)


@operations.handles("UpdateRole")
def update_role(call: Call, given: Document) -> Document:
    members: Document = {name: given[name] for name in ("Description", "MaxSessionDuration") if name in given}
    return _changed(call, given, members)


@operations.handles("UpdateRoleDescription")
def update_role_description(call: Call, given: Document) -> Document:
    _changed(call, given, {"Description": given["Description"]})
    return get_role(call, given)


@operations.handles("UpdateAssumeRolePolicy")
def update_assume_role_policy(call: Call, given: Document) -> Document:
    return _changed(call, given, {"AssumeRolePolicyDocument": documents.check_trust(given["PolicyDocument"])})


def _changed(call: Call, given: Document, members: Document) -> Document:
    def work(connection: Connection) -> Document:
        entities.change(call, connection, find(connection, call.account, given["RoleName"]), **members)
        return {}

    return generation.write(call, work)


inline_policies.serve(operations, entities.ROLE)
attached_policies.serve(operations, entities.ROLE)
tags.serve(operations, "Role", "RoleName", find)
