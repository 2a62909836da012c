"""Log groups and their retention."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa

from clary.services.logs import naming, tokens
from clary.services.logs.faults import exists, invalid, not_offered
from clary.services.operation import Call, Document, Operations
from clary.store import logs
from clary.store.logs import Group
from clary.store.schema import log_groups

operations = Operations()

_PAGE = 50
_RETENTIONS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
_RESERVED = re.compile(r"aws/", re.ASCII)


@operations.handles("CreateLogGroup")
def create_log_group(call: Call, given: Document) -> Document:
    for option in ("kmsKeyId", "deletionProtectionEnabled"):
        if given.get(option):
            raise not_offered("CreateLogGroup", option)
    if given.get("logGroupClass", "STANDARD") != "STANDARD":
        raise not_offered("CreateLogGroup", f"logGroupClass {given['logGroupClass']}")
    name, now = given["logGroupName"], call.platform.clock.now()
    if _RESERVED.match(name):
        raise invalid("Log groups starting with AWS/ are reserved for AWS.")

    def work(connection: sa.Connection) -> None:
        try:
            logs.create_group(connection, call.account, call.region, name, now, given.get("tags"))
        except logs.Exists as error:
            raise exists("log group") from error

    call.platform.stores.logs.write(work)
    return {}


@operations.handles("DeleteLogGroup")
def delete_log_group(call: Call, given: Document) -> Document:
    def work(connection: sa.Connection) -> None:
        logs.delete_group(connection, naming.find_group(connection, call, given["logGroupName"]))

    call.platform.stores.logs.write(work)
    return {}


@operations.handles("DescribeLogGroups")
def describe_log_groups(call: Call, given: Document) -> Document:
    for option in ("accountIdentifiers", "includeLinkedAccounts"):
        if given.get(option):
            raise not_offered("DescribeLogGroups", option)
    question = {key: value for key, value in given.items() if key not in ("nextToken", "limit")}
    conditions = _conditions(call, given)
    after = tokens.place(["groups", question], given["nextToken"], str)[0] if given.get("nextToken") else ""
    limit = given.get("limit", _PAGE)
    found = call.platform.stores.logs.read(
        lambda connection: logs.groups(
            connection, call.account, call.region, *conditions, after=str(after), limit=limit + 1
        )
    )
    page = found[:limit]
    result: Document = {"logGroups": [_described(group, size) for group, size in page]}
    if len(found) > limit:
        result["nextToken"] = tokens.of_place(["groups", question], [page[-1][0].name])
    return result


def _conditions(call: Call, given: Document) -> list[sa.ColumnElement[bool]]:
    prefix, pattern = given.get("logGroupNamePrefix"), given.get("logGroupNamePattern")
    if prefix and pattern:
        raise invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
    name = log_groups.c.name
    conditions: list[sa.ColumnElement[bool]] = []
    if prefix:
        conditions.append(name.startswith(prefix, autoescape=True))
    if pattern:
        conditions.append(sa.func.lower(name).contains(pattern.lower(), autoescape=True))
    if identifiers := given.get("logGroupIdentifiers"):
        conditions.append(name.in_([naming.name_of(call, each) for each in identifiers]))
    if given.get("logGroupClass", "STANDARD") != "STANDARD":
        conditions.append(sa.false())  # there are none of another class
    return conditions


def _described(group: Group, size: int) -> Document:
    arn = naming.group_arn(group)
    shown: dict[str, Any] = {
        "logGroupName": group.name,
        "creationTime": group.created,
        "metricFilterCount": 0,
        "arn": f"{arn}:*",
        "storedBytes": size,
        "logGroupClass": "STANDARD",
        "logGroupArn": arn,
    }
    return shown if group.retention_days is None else shown | {"retentionInDays": group.retention_days}


@operations.handles("PutRetentionPolicy")
def put_retention_policy(call: Call, given: Document) -> Document:
    days = given["retentionInDays"]
    if days not in _RETENTIONS:
        allowed = ", ".join(map(str, _RETENTIONS))
        raise invalid(
            f"1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{allowed}]"
        )
    return _retain(call, given["logGroupName"], days)


@operations.handles("DeleteRetentionPolicy")
def delete_retention_policy(call: Call, given: Document) -> Document:
    return _retain(call, given["logGroupName"], None)


def _retain(call: Call, name: str, days: int | None) -> Document:
    def work(connection: sa.Connection) -> None:
        logs.change_group(connection, naming.find_group(connection, call, name), retention_days=days)

    call.platform.stores.logs.write(work)
    return {}
