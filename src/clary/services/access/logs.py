"""What the operations of CloudWatch Logs ask for."""

from __future__ import annotations

from collections.abc import Iterator

from clary.arns import Arn
from clary.services.access.context import Later, of_tags
from clary.services.access.wanted import Wanted, tags_of
from clary.services.operation import Call, Document


def wanted(call: Call, given: Document) -> Iterator[Wanted]:
    keys = Later(lambda: of_tags(tags_of(given.get("tags"))))
    yield Wanted(f"logs:{call.operation}", _resource(call, given), keys)
    if call.operation == "CreateLogGroup" and given.get("tags"):
        yield Wanted("logs:TagResource", _resource(call, given), keys)


def _resource(call: Call, given: Document) -> str:
    """CloudWatch Logs writes the streams of a group behind it, even where it means the group: that is what the usual
    patterns, `log-group:NAME:*`, are made for."""
    if given.get("resourceArn"):
        return str(given["resourceArn"])
    identifier = given.get("logGroupIdentifier") or given.get("logGroupName") or ""
    group = identifier.partition(":log-group:")[2].removesuffix(":*") if ":" in identifier else identifier
    stream = given.get("logStreamName") or ""
    return str(Arn("logs", call.region, call.account, f"log-group:{group}:log-stream:{stream}"))
