"""Instance profiles: a name under which a role is given to machines."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from clary.services.iam import entities, errors, generation, roles, shapes, tags
from clary.services.iam.identifiers import unique_id
from clary.services.operation import Call, Document, Operations
from clary.store import records
from clary.store.records import Record

operations = Operations()


def find(connection: Connection, account: str, name: str) -> Record:
    """Raises NoSuchEntity."""
    record = records.find(connection, shapes.INSTANCE_PROFILE, account, shapes.REGION, name)
    if record is None:
        raise errors.no_such(f"Instance Profile {name} cannot be found.")
    return record


def shown(connection: Connection, record: Record, brief: bool = False) -> Document:
    """As answers show it, its role spelled out; `brief` as listings do, without tags."""
    inside = [
        roles.shown(connection, roles.find(connection, record.account, name), brief=True)
        for name in record.document["Roles"]
    ]
    answer = {**record.document, "CreateDate": shapes.when(record.created), "Roles": inside}
    if brief or not answer["Tags"]:
        del answer["Tags"]
    return answer


def of_role(connection: Connection, role: Record) -> list[Record]:
    every = entities.every(connection, shapes.INSTANCE_PROFILE, role.account)
    return [profile for profile in every if role.name in profile.document["Roles"]]


@operations.handles("CreateInstanceProfile")
def create_instance_profile(call: Call, given: Document) -> Document:
    now = call.platform.clock.now()
    path, name = given.get("Path") or "/", given["InstanceProfileName"]
    arn = f"arn:aws:iam::{call.account}:instance-profile{path}{name}"
    document = {
        "Path": path,
        "InstanceProfileName": name,
        "InstanceProfileId": unique_id("AIPA"),
        "Arn": arn,
        "Tags": shapes.merged_tags((), given.get("Tags", ())),
        "Roles": [],
    }
    record = Record(shapes.INSTANCE_PROFILE, call.account, shapes.REGION, arn, name, "", now, now, document)
    taken = f"Instance Profile {name} already exists."

    def work(connection: Connection) -> Document:
        entities.enter(connection, record, taken)
        return {"InstanceProfile": shown(connection, record)}

    return generation.write(call, work)


@operations.handles("GetInstanceProfile")
def get_instance_profile(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        return {"InstanceProfile": shown(connection, find(connection, call.account, given["InstanceProfileName"]))}

    return call.platform.stores.records.read(work)


@operations.handles("ListInstanceProfiles")
def list_instance_profiles(call: Call, given: Document) -> Document:
    query = shapes.listing(call, shapes.INSTANCE_PROFILE, "instance-profile", given)

    def work(connection: Connection) -> Document:
        found = records.select(connection, query)
        return shapes.paged(found, given, "InstanceProfiles", lambda each: shown(connection, each, brief=True))

    return call.platform.stores.records.read(work)


@operations.handles("ListInstanceProfilesForRole")
def list_instance_profiles_for_role(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        found = of_role(connection, roles.find(connection, call.account, given["RoleName"]))
        return shapes.page(
            found, given, "InstanceProfiles", lambda each: shown(connection, each, brief=True), shapes.name
        )

    return call.platform.stores.records.read(work)


@operations.handles("AddRoleToInstanceProfile")
def add_role_to_instance_profile(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        profile = find(connection, call.account, given["InstanceProfileName"])
        role = roles.find(connection, call.account, given["RoleName"])
        if profile.document["Roles"]:
            raise errors.limit("Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1")
        entities.change(call, connection, profile, Roles=[role.name])
        return {}

    return generation.write(call, work)


@operations.handles("RemoveRoleFromInstanceProfile")
def remove_role_from_instance_profile(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        profile = find(connection, call.account, given["InstanceProfileName"])
        if given["RoleName"] not in profile.document["Roles"]:
            raise errors.no_role(given["RoleName"])
        entities.change(call, connection, profile, Roles=[])
        return {}

    return generation.write(call, work)


@operations.handles("DeleteInstanceProfile")
def delete_instance_profile(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        profile = find(connection, call.account, given["InstanceProfileName"])
        if profile.document["Roles"]:
            raise errors.conflict("Cannot delete entity, must remove roles from instance profile first.")
        records.delete(connection, profile)
        return {}

    return generation.write(call, work)


tags.serve(operations, "InstanceProfile", "InstanceProfileName", find)
