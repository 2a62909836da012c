"""Users, groups and roles as what they share: a name, policies, and for two of them a permissions boundary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.services.iam import errors, shapes
from clary.services.operation import Call, Document
from clary.store import records
from clary.store.records import NameTaken, Query, Record
from clary.store.schema import records as table

SERVICE_PATH = "/aws-service-role/"
_ALL = 1_000_000


@dataclass(frozen=True, slots=True)
class Entity:
    """`noun` is the stem of its operations and members (PutUserPolicy, UserName), `inline_limit` how many characters
    its inline policies may have together, blanks not counted. `id_prefix` is what its unique ids begin with."""

    kind: str
    noun: Literal["User", "Group", "Role"]
    id_prefix: str
    inline_limit: int

    @property
    def member(self) -> str:
        return f"{self.noun}Name"

    @property
    def word(self) -> str:
        return self.noun.lower()

    def arn(self, account: str, path: str, name: str) -> str:
        return f"arn:aws:iam::{account}:{self.word}{path}{name}"


USER = Entity(shapes.USER, "User", "AIDA", 2048)
GROUP = Entity(shapes.GROUP, "Group", "AGPA", 5120)
ROLE = Entity(shapes.ROLE, "Role", "AROA", 10_240)
ALL = (USER, GROUP, ROLE)


def find(connection: Connection, entity: Entity, account: str, name: str) -> Record:
    """Raises NoSuchEntity."""
    record = records.find(connection, entity.kind, account, shapes.REGION, name)
    if record is None:
        raise errors.no_such(f"The {entity.word} with name {name} cannot be found.")
    return record


def every(connection: Connection, kind: str, account: str) -> list[Record]:
    """All of an account, by name."""
    return records.select(connection, Query(kind, account, shapes.REGION, sort="name", limit=_ALL))


def with_policies(connection: Connection, account: str) -> Iterator[tuple[Entity, Record]]:
    """Every user, group and role of an account."""
    for entity in ALL:
        for record in every(connection, entity.kind, account):
            yield entity, record


def change(call: Call, connection: Connection, record: Record, **members: object) -> Record:
    """Writes `members` into the document; one that is None is taken out. Raises UnmodifiableEntity for what belongs to
    a service."""
    refuse_service_role(record)
    document = {**record.document, **members}
    document = {name: value for name, value in document.items() if value is not None}
    return records.replace(connection, record, document=document, modified=call.platform.clock.now())


def refuse_service_role(record: Record) -> None:
    if record.kind == shapes.ROLE and record.document["Path"].startswith(SERVICE_PATH):
        raise errors.unmodifiable(str(record.name))


def check_free(connection: Connection, kind: str, account: str, name: str, taken: str) -> None:
    """Names are one another's whatever their case. Raises EntityAlreadyExists, worded as `taken`."""
    same = [sa.func.lower(table.c.name) == name.lower()]
    if records.select(connection, Query(kind, account, shapes.REGION, limit=1, conditions=same)):
        raise errors.exists(taken)


def enter(connection: Connection, record: Record, taken: str) -> None:
    """A new record, if its name is free. Raises EntityAlreadyExists, worded as `taken`."""
    check_free(connection, record.kind, record.account, str(record.name), taken)
    try:
        records.insert(connection, record)
    except NameTaken:
        raise errors.exists(taken) from None


def check_deletable(record: Record) -> None:
    """Raises DeleteConflict for one with policies, UnmodifiableEntity for what belongs to a service."""
    refuse_service_role(record)
    if record.document["AttachedPolicies"]:
        raise errors.conflict("Cannot delete entity, must detach all policies first.")
    if record.document["InlinePolicies"]:
        raise errors.conflict("Cannot delete entity, must delete policies first.")


def renamed(call: Call, connection: Connection, entity: Entity, record: Record, given: Document) -> Record:
    """The record under its new name or path (NewUserName or NewGroupName, NewPath). Raises EntityAlreadyExists."""
    name = given.get(f"New{entity.member}") or str(record.name)
    path = given.get("NewPath") or record.document["Path"]
    if name.lower() != str(record.name).lower():
        check_free(connection, entity.kind, record.account, name, f"{entity.noun} with name {name} already exists.")
    arn = entity.arn(record.account, path, name)
    document = {**record.document, entity.member: name, "Path": path, "Arn": arn}
    moved = Record(
        record.kind,
        record.account,
        record.region,
        arn,
        name,
        record.status,
        record.created,
        call.platform.clock.now(),
        document,
    )
    records.delete(connection, record)
    records.insert(connection, moved)
    return moved
