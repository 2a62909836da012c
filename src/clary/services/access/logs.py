"""What the operations of CloudWatch Logs ask for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlalchemy.engine import Connection

from clary.arns import Arn
from clary.services.access.context import Keys, Tagged, of_tags
from clary.services.access.wanted import Wanted
from clary.services.operation import Call, Document
from clary.store import logs
from clary.store.logs import Group


def wanted(call: Call, given: Document) -> Iterator[Wanted]:
    resource = _resource(call, given)
    keys = Tagged("logs", lambda: _context(given), lambda: _tags(call, resource))
    yield Wanted(f"logs:{call.operation}", resource, keys)
    if call.operation == "CreateLogGroup" and given.get("tags"):
        yield Wanted("logs:TagResource", resource, keys)


def _context(given: Document) -> Keys:
    tags = given.get("tagKeys") or given.get("tags") or ()
    return of_tags(tags) if isinstance(tags, Mapping) else {"aws:tagkeys": tuple(tags)}


def _tags(call: Call, resource: str) -> Mapping[str, str]:
    """Of the log group that a resource is, or is in."""
    name = resource.partition(":log-group:")[2].partition(":")[0]

    def work(connection: Connection) -> Group | None:
        return logs.find_group(connection, call.account, call.region, name)

    found = call.platform.stores.logs.read(work) if name else None
    return {} if found is None else found.tags


def _resource(call: Call, given: Document) -> str:
    """CloudWatch Logs writes the streams of a group behind it, even where it means the group: that is what the usual
    patterns, `log-group:NAME:*`, are made for."""
    if given.get("resourceArn"):
        return str(given["resourceArn"])
    identifier = given.get("logGroupIdentifier") or given.get("logGroupName") or ""
    group = identifier.partition(":log-group:")[2].removesuffix(":*") if ":" in identifier else identifier
    stream = given.get("logStreamName") or ""
    return str(Arn("logs", call.region, call.account, f"log-group:{group}:log-stream:{stream}"))
