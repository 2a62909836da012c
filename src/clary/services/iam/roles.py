"""Roles: what SageMaker's resources act as."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from clary.services.iam import documents, errors, generation, shapes
from clary.services.iam.identifiers import unique_id
from clary.services.operation import Call, Document, Operations
from clary.store import records
from clary.store.records import NameTaken, Record

operations = Operations()


def role_arn(account: str, path: str, name: str) -> str:
    return f"arn:aws:iam::{account}:role{path}{name}"


def new_role(account: str, given: Document, now: float) -> Record:
    """A role's record from CreateRole's parameters. Raises ServiceError."""
    path, name = given.get("Path") or "/", given["RoleName"]
    arn = role_arn(account, path, name)
    document: Document = {
        "Path": path,
        "RoleName": name,
        "RoleId": unique_id("AROA"),
        "Arn": arn,
        "CreateDate": now,
        "AssumeRolePolicyDocument": documents.check_trust(given["AssumeRolePolicyDocument"]),
        "MaxSessionDuration": given.get("MaxSessionDuration", 3600),
        "Tags": shapes.merged_tags((), given.get("Tags", ())),
        "InlinePolicies": {},
        "AttachedPolicies": [],
    }
    if "Description" in given:
        document["Description"] = given["Description"]
    return Record(shapes.ROLE, account, shapes.REGION, arn, name, "", now, now, document)


def find(connection: Connection, account: str, name: str) -> Record:
    """Raises NoSuchEntity."""
    record = records.find(connection, shapes.ROLE, account, shapes.REGION, name)
    if record is None:
        raise errors.no_role(name)
    return record


def change(call: Call, connection: Connection, record: Record, **members: object) -> Record:
    """Writes `members` into the role's document."""
    document = {**record.document, **members}
    return records.replace(connection, record, document=document, modified=call.platform.clock.now())


def _shown(record: Record, brief: bool = False) -> Document:
    """As answers show it; `brief` as ListRoles does, without tags."""
    answer = dict(record.document)
    del answer["InlinePolicies"], answer["AttachedPolicies"]
    answer["CreateDate"] = shapes.when(answer["CreateDate"])
    answer["AssumeRolePolicyDocument"] = documents.quoted(answer["AssumeRolePolicyDocument"])
    if brief or not answer["Tags"]:
        del answer["Tags"]
    if not brief:
        answer["RoleLastUsed"] = {}
    return answer


@operations.handles("CreateRole")
def create_role(call: Call, given: Document) -> Document:
    if "PermissionsBoundary" in given:
        raise errors.not_built("CreateRole", "PermissionsBoundary")
    record = new_role(call.account, given, call.platform.clock.now())
    try:
        generation.write(call, lambda connection: records.insert(connection, record))
    except NameTaken:
        raise errors.exists(f"Role with name {record.name} already exists.") from None
    shown = _shown(record)
    del shown["RoleLastUsed"]
    return {"Role": shown}


@operations.handles("GetRole")
def get_role(call: Call, given: Document) -> Document:
    return {
        "Role": call.platform.stores.records.read(
            lambda connection: _shown(find(connection, call.account, given["RoleName"]))
        )
    }


@operations.handles("ListRoles")
def list_roles(call: Call, given: Document) -> Document:
    query = shapes.listing(call, shapes.ROLE, "role", given)
    found = call.platform.stores.records.read(lambda connection: records.select(connection, query))
    return shapes.paged(found, given, "Roles", lambda record: _shown(record, brief=True))


@operations.handles("DeleteRole")
def delete_role(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        record = find(connection, call.account, given["RoleName"])
        if record.document["AttachedPolicies"]:
            raise errors.conflict("Cannot delete entity, must detach all policies first.")
        if record.document["InlinePolicies"]:
            raise errors.conflict("Cannot delete entity, must delete policies first.")
        records.delete(connection, record)
        return {}

    return generation.write(call, work)


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
        change(call, connection, find(connection, call.account, given["RoleName"]), **members)
        return {}

    return generation.write(call, work)


@operations.handles("TagRole")
def tag_role(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        record = find(connection, call.account, given["RoleName"])
        change(call, connection, record, Tags=shapes.merged_tags(record.document["Tags"], given["Tags"]))
        return {}

    return generation.write(call, work)


@operations.handles("UntagRole")
def untag_role(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        record = find(connection, call.account, given["RoleName"])
        change(call, connection, record, Tags=shapes.without_tags(record.document["Tags"], given["TagKeys"]))
        return {}

    return generation.write(call, work)


@operations.handles("ListRoleTags")
def list_role_tags(call: Call, given: Document) -> Document:
    record = call.platform.stores.records.read(lambda connection: find(connection, call.account, given["RoleName"]))
    return shapes.page(record.document["Tags"], given, "Tags", dict, lambda tag: str(tag["Key"]))
