"""Users."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from clary.services.iam import (
    access_keys,
    attached_policies,
    entities,
    errors,
    generation,
    inline_policies,
    policies,
    root_key,
    shapes,
    tags,
)
from clary.services.iam.identifiers import unique_id
from clary.services.operation import Call, Document, Operations
from clary.store import records
from clary.store.records import Record

operations = Operations()

_OURS = ("InlinePolicies", "AttachedPolicies", "Groups", "Login")


def find(connection: Connection, account: str, name: str) -> Record:
    """Raises NoSuchEntity."""
    return entities.find(connection, entities.USER, account, name)


def shown(record: Record, brief: bool = False) -> Document:
    """As answers show it; `brief` as listings do, without tags and boundary."""
    answer = {name: value for name, value in record.document.items() if name not in _OURS}
    answer["CreateDate"] = shapes.when(answer["CreateDate"])
    shapes.show_boundary(answer)
    if brief:
        answer.pop("PermissionsBoundary", None)
    if brief or not answer["Tags"]:
        del answer["Tags"]
    return answer


def new_user(account: str, given: Document, now: float) -> Record:
    """A user's record from CreateUser's parameters. Raises ServiceError."""
    path, name = given.get("Path") or "/", given["UserName"]
    document = {
        "Path": path,
        "UserName": name,
        "UserId": unique_id(entities.USER.id_prefix),
        "Arn": entities.USER.arn(account, path, name),
        "CreateDate": now,
        "Tags": shapes.merged_tags((), given.get("Tags", ())),
        "InlinePolicies": {},
        "AttachedPolicies": [],
        "Groups": [],
    }
    if "PermissionsBoundary" in given:
        document["PermissionsBoundary"] = given["PermissionsBoundary"]
    return Record(shapes.USER, account, shapes.REGION, document["Arn"], name, "", now, now, document)


@operations.handles("CreateUser")
def create_user(call: Call, given: Document) -> Document:
    record = new_user(call.account, given, call.platform.clock.now())
    taken = f"User with name {record.name} already exists."

    def work(connection: Connection) -> None:
        entities.enter(connection, record, taken)
        if "PermissionsBoundary" in given:
            policies.check_boundary(connection, call.account, given["PermissionsBoundary"])

    generation.write(call, work)
    return {"User": shown(record)}


@operations.handles("GetUser")
def get_user(call: Call, given: Document) -> Document:
    if "UserName" not in given and call.principal.kind == "root":
        return {"User": _root(call)}
    name = given.get("UserName") or access_keys.caller(call)
    record = call.platform.stores.records.read(lambda connection: find(connection, call.account, name))
    return {"User": shown(record)}


def _root(call: Call) -> Document:
    made = _account_made(call)
    return {
        "Path": "/",
        "UserName": "",
        "UserId": call.account,
        "Arn": call.principal.arn,
        "CreateDate": shapes.when(made),
    }


def _account_made(call: Call) -> float:
    settings, arn = call.platform.settings, root_key.account_arn(call.account)
    if call.account == settings.account:
        return root_key.path(settings).stat().st_mtime
    record = call.platform.stores.records.read(lambda connection: records.by_arn(connection, arn))
    return 0.0 if record is None else record.created


@operations.handles("ListUsers")
def list_users(call: Call, given: Document) -> Document:
    query = shapes.listing(call, shapes.USER, "user", given)
    found = call.platform.stores.records.read(lambda connection: records.select(connection, query))
    return shapes.paged(found, given, "Users", lambda record: shown(record, brief=True))


@operations.handles("UpdateUser")
def update_user(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        old = find(connection, call.account, given["UserName"])
        new = entities.renamed(call, connection, entities.USER, old, given)
        access_keys.hand_over(connection, old, new)
        return {}

    return generation.write(call, work)


@operations.handles("DeleteUser")
def delete_user(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        record = find(connection, call.account, given["UserName"])
        if access_keys.of_user(connection, record):
            raise errors.conflict("Cannot delete entity, must delete access keys first.")
        if "Login" in record.document:
            raise errors.conflict("Cannot delete entity, must delete login profile first.")
        if record.document["Groups"]:
            raise errors.conflict("Cannot delete entity, must remove users from group first.")
        entities.check_deletable(record)
        records.delete(connection, record)
        return {}

    return generation.write(call, work)


inline_policies.serve(operations, entities.USER)
attached_policies.serve(operations, entities.USER)
tags.serve(operations, "User", "UserName", find)
