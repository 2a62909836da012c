"""Where a registry's images go besides, and how far they are."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Connection

from clary.registry import registries, replications
from clary.registry.registries import Registry
from clary.registry.replications import Destination, Replication
from clary.registry.repositories import Repository
from clary.services.ecr import faults, finding
from clary.services.ecr.registries import change
from clary.services.operation import Call, Document, Operations

operations = Operations()

operations.leaves_out(
    "What was pushed before there was a rule for it is replicated when it is pushed again.",
    *("StartReplicationBackfill", "StopReplicationBackfill"),
    *("ListReplicationBackfills", "DescribeReplicationBackfillResults"),
)

_CONFIGURATION = "replicationConfiguration"
_MOST_RULES, _MOST_DESTINATIONS = 10, 25
_WORST_FIRST = ("FAILED", "IN_PROGRESS", "COMPLETE")


@operations.handles("PutReplicationConfiguration")
def put_replication_configuration(call: Call, given: Document) -> Document:
    rules = given[_CONFIGURATION]["rules"]
    if len(rules) > _MOST_RULES:
        raise faults.invalid(_CONFIGURATION, f"A configuration has at most {_MOST_RULES} rules")
    if any((each.get("deleteReplication") or {}).get("enabled") for each in rules):
        raise faults.not_built(call.operation, "deleteReplication")
    destinations = {each for rule in rules for each in _destinations(rule)}
    if Destination(call.account, call.region) in destinations:
        raise faults.invalid(_CONFIGURATION, "Replication destination cannot be the same as the source registry")
    if len(destinations) > _MOST_DESTINATIONS:
        raise faults.invalid(_CONFIGURATION, f"A configuration has at most {_MOST_DESTINATIONS} destinations")
    change(call, lambda found: dataclasses.replace(found, replication=rules))
    return {_CONFIGURATION: {"rules": rules}}


def _destinations(rule: Mapping[str, Any]) -> Iterable[Destination]:
    return (Destination(each["registryId"], each["region"]) for each in rule["destinations"])


def begin(connection: Connection, repository: Repository, digest: str, tag: str | None) -> None:
    """Of an image that is being pushed: it is to go where the registry's rules say by then."""
    registry = registries.find(connection, repository.account, repository.region)
    if registry.replication:
        replications.begin(connection, repository, digest, tag or "", _wanted(registry, repository.name))


def _wanted(registry: Registry, name: str) -> list[Destination]:
    found = [each for rule in registry.replication if _covers(rule, name) for each in _destinations(rule)]
    return list(dict.fromkeys(found))


def _covers(rule: Mapping[str, Any], name: str) -> bool:
    filters = rule.get("repositoryFilters")
    return not filters or any(name.startswith(each["filter"]) for each in filters)


@operations.handles("DescribeImageReplicationStatus")
def describe_image_replication_status(call: Call, given: Document) -> Document:
    place, identity = finding.place(call, given), finding.identity(given["imageId"])

    def look(connection: Connection) -> tuple[str, Sequence[Replication]]:
        image = finding.image(connection, place, *identity)
        return image.digest, replications.of_image(connection, finding.find(connection, place), image.digest)

    digest, found = finding.read(call, look)
    worst: dict[Destination, Replication] = {}
    for each in sorted(found, key=lambda each: _WORST_FIRST.index(each.status)):
        worst.setdefault(Destination(each.account, each.region), each)
    return {
        "repositoryName": place.repository,
        "imageId": {**given["imageId"], "imageDigest": digest},
        "replicationStatuses": [_told(each) for _, each in sorted(worst.items())],
    }


def _told(replication: Replication) -> Document:
    failed = {"failureCode": replication.failure} if replication.failure else {}
    return {"region": replication.region, "registryId": replication.account, "status": replication.status, **failed}
