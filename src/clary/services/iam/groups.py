"""Groups, and who is in them. A user's document names its groups."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from clary.services.iam import attached_policies, entities, errors, generation, inline_policies, shapes, users
from clary.services.iam.identifiers import unique_id
from clary.services.operation import Call, Document, Operations
from clary.store import records
from clary.store.records import Record

operations = Operations()

_MOST_GROUPS = 10  # of a user
_OURS = ("InlinePolicies", "AttachedPolicies", "Tags")


def find(connection: Connection, account: str, name: str) -> Record:
    """Raises NoSuchEntity."""
    return entities.find(connection, entities.GROUP, account, name)


def shown(record: Record) -> Document:
    answer = {name: value for name, value in record.document.items() if name not in _OURS}
    return {**answer, "CreateDate": shapes.when(answer["CreateDate"])}


def members(connection: Connection, group: Record) -> list[Record]:
    """The users in a group, by name."""
    everybody = entities.every(connection, shapes.USER, group.account)
    return [user for user in everybody if group.name in user.document["Groups"]]


@operations.handles("CreateGroup")
def create_group(call: Call, given: Document) -> Document:
    now = call.platform.clock.now()
    path, name = given.get("Path") or "/", given["GroupName"]
    document = {
        "Path": path,
        "GroupName": name,
        "GroupId": unique_id(entities.GROUP.id_prefix),
        "Arn": entities.GROUP.arn(call.account, path, name),
        "CreateDate": now,
        "InlinePolicies": {},
        "AttachedPolicies": [],
    }
    record = Record(shapes.GROUP, call.account, shapes.REGION, document["Arn"], name, "", now, now, document)
    taken = f"Group with name {name} already exists."
    generation.write(call, lambda connection: entities.enter(connection, record, taken))
    return {"Group": shown(record)}


@operations.handles("GetGroup")
def get_group(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> tuple[Record, list[Record]]:
        group = find(connection, call.account, given["GroupName"])
        return group, members(connection, group)

    group, inside = call.platform.stores.records.read(work)
    page = shapes.page(inside, given, "Users", lambda user: users.shown(user, brief=True), shapes.name)
    return {"Group": shown(group), **page}


@operations.handles("ListGroups")
def list_groups(call: Call, given: Document) -> Document:
    query = shapes.listing(call, shapes.GROUP, "group", given)
    found = call.platform.stores.records.read(lambda connection: records.select(connection, query))
    return shapes.paged(found, given, "Groups", shown)


@operations.handles("ListGroupsForUser")
def list_groups_for_user(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> list[Record]:
        user = users.find(connection, call.account, given["UserName"])
        return [find(connection, call.account, name) for name in user.document["Groups"]]

    return shapes.page(call.platform.stores.records.read(work), given, "Groups", shown, shapes.name)


@operations.handles("UpdateGroup")
def update_group(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        old = find(connection, call.account, given["GroupName"])
        inside = members(connection, old)
        new = entities.renamed(call, connection, entities.GROUP, old, given)
        for user in inside:
            groups = [new.name if each == old.name else each for each in user.document["Groups"]]
            entities.change(call, connection, user, Groups=groups)
        return {}

    return generation.write(call, work)


@operations.handles("DeleteGroup")
def delete_group(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        group = find(connection, call.account, given["GroupName"])
        if members(connection, group):
            raise errors.conflict("Cannot delete entity, must remove users from group first.")
        entities.check_deletable(group)
        records.delete(connection, group)
        return {}

    return generation.write(call, work)


@operations.handles("AddUserToGroup")
def add_user_to_group(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        group = find(connection, call.account, given["GroupName"])
        user = users.find(connection, call.account, given["UserName"])
        groups = user.document["Groups"]
        if group.name in groups:
            return {}
        if len(groups) >= _MOST_GROUPS:
            raise errors.limit(f"Cannot exceed quota for GroupsPerUser: {_MOST_GROUPS}")
        entities.change(call, connection, user, Groups=[*groups, group.name])
        return {}

    return generation.write(call, work)


@operations.handles("RemoveUserFromGroup")
def remove_user_from_group(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        group = find(connection, call.account, given["GroupName"])
        user = users.find(connection, call.account, given["UserName"])
        groups = [name for name in user.document["Groups"] if name != group.name]
        entities.change(call, connection, user, Groups=groups)
        return {}

    return generation.write(call, work)


inline_policies.serve(operations, entities.GROUP)
attached_policies.serve(operations, entities.GROUP)
