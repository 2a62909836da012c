"""Who uses a managed policy: as one of its policies, or as its permissions boundary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy.engine import Connection

from clary.services.iam import entities, errors, managed, shapes
from clary.services.iam.entities import Entity
from clary.services.operation import Call, Document, Operations
from clary.store import records
from clary.store.records import Record

operations = Operations()

_MANAGED_FILTERS = ("LocalManagedPolicy", "AWSManagedPolicy")


@dataclass(frozen=True, slots=True)
class Usage:
    """By a policy's ARN: to how many users, groups and roles it is attached, and of how many it is the boundary."""

    attached: Counter[str] = field(default_factory=Counter)
    boundaries: Counter[str] = field(default_factory=Counter)


NONE = Usage()


def of_account(connection: Connection, account: str) -> Usage:
    usage = Usage()
    for _, record in entities.with_policies(connection, account):
        usage.attached.update(record.document["AttachedPolicies"])
        boundary = record.document.get("PermissionsBoundary")
        if boundary is not None:
            usage.boundaries[boundary] += 1
    return usage


@operations.handles("ListEntitiesForPolicy")
def list_entities_for_policy(call: Call, given: Document) -> Document:
    arn = given["PolicyArn"]

    def work(connection: Connection) -> list[tuple[Entity, Record]]:
        own = records.by_arn(connection, arn)
        if managed.find(arn) is None and (own is None or (own.kind, own.account) != (shapes.POLICY, call.account)):
            raise errors.no_policy(arn)
        return list(_users(connection, call.account, arn, given))

    found = call.platform.stores.records.read(work)
    page = shapes.page(found, given, "Found", lambda each: each, lambda each: f"{each[0].noun} {each[1].name}")
    answer: Document = {f"Policy{entity.noun}s": [] for entity in entities.ALL}
    for entity, record in page.pop("Found"):
        identifier = record.document[f"{entity.noun}Id"]
        answer[f"Policy{entity.noun}s"].append({entity.member: record.name, f"{entity.noun}Id": identifier})
    return {**answer, **page}


def _users(connection: Connection, account: str, arn: str, given: Document) -> Iterator[tuple[Entity, Record]]:
    only, prefix, use = given.get("EntityFilter"), given.get("PathPrefix", "/"), given.get("PolicyUsageFilter")
    for entity, record in entities.with_policies(connection, account):
        document = record.document
        attached = use != "PermissionsBoundary" and arn in document["AttachedPolicies"]
        bounded = use != "PermissionsPolicy" and document.get("PermissionsBoundary") == arn
        kept = only in (None, entity.noun, *_MANAGED_FILTERS) and document["Path"].startswith(prefix)
        if kept and (attached or bounded):
            yield entity, record
