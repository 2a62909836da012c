"""Names and ARNs of log groups, and finding a group or stream by what a request calls it."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from clary.arns import Arn
from clary.services.logs.faults import invalid, no_group, no_stream
from clary.services.operation import Call, Document
from clary.store import logs
from clary.store.logs import Group, Stream


def group_arn(group: Group) -> str:
    return str(Arn("logs", group.region, group.account, f"log-group:{group.name}"))


def group_name(call: Call, given: Document) -> str:
    """From logGroupName or logGroupIdentifier (a name or an ARN); exactly one has to be given."""
    name, identifier = given.get("logGroupName"), given.get("logGroupIdentifier")
    if (name is None) == (identifier is None):
        raise invalid("Exactly one of logGroupName and logGroupIdentifier has to be given.")
    return str(name) if name is not None else name_of(call, str(identifier))


def name_of(call: Call, identifier: str) -> str:
    """The group's name in an identifier. Raises when it belongs to another account or region."""
    if not identifier.startswith("arn:"):
        return identifier
    try:
        arn = Arn.parse(identifier)
    except ValueError as error:
        raise invalid(f"{identifier} is not a valid ARN.") from error
    kind, _, rest = arn.resource.partition(":")
    if arn.service != "logs" or kind != "log-group" or not rest:
        raise invalid(f"{identifier} is not the ARN of a log group.")
    if (arn.account, arn.region) != (call.account, call.region):
        raise no_group()
    return rest.removesuffix(":*")


def find_group(connection: Connection, call: Call, name: str) -> Group:
    group = logs.find_group(connection, call.account, call.region, name)
    if group is None:
        raise no_group()
    return group


def find_stream(connection: Connection, group: Group, name: str) -> Stream:
    stream = logs.find_stream(connection, group, name)
    if stream is None:
        raise no_stream()
    return stream
