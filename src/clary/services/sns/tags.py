"""Tags of topics."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from sqlalchemy.engine import Connection

from clary.errors import ServiceError
from clary.services import tagging
from clary.services.operation import Call, Document, Operations
from clary.services.sns import faults, topic_records

operations = Operations()

_MOST = 50
_CONTROL = re.compile(r"[\x00-\x1f]")  # no answer in XML could hold them


def checked(given: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Key -> value. Raises InvalidParameter."""
    pairs = [(tag["Key"], tag.get("Value") or "") for tag in given]
    if len({key for key, _ in pairs}) != len(pairs):
        raise faults.invalid("Duplicated keys are not allowed.")
    if any(key.lower().startswith("aws:") for key, _ in pairs):
        raise faults.invalid("Tag keys may not begin with aws:")
    if any(_CONTROL.search(text) for pair in pairs for text in pair):
        raise faults.invalid("Tags Reason: control characters are not allowed")
    return dict(pairs)


def write(connection: Connection, arn: str, named: Mapping[str, str]) -> None:
    """Adds or overwrites. Raises TagLimitExceeded."""
    if len({*tagging.of(connection, arn), *named}) > _MOST:
        message = f"Could not complete request: tag quota of per resource exceeded ({_MOST})"
        raise ServiceError("TagLimitExceeded", message)
    tagging.put(connection, arn, named)


@operations.handles("TagResource")
def tag_resource(call: Call, given: Document) -> Document:
    named = checked(given["Tags"])

    def commit(connection: Connection) -> None:
        write(connection, _arn(connection, call, given), named)

    call.platform.stores.records.write(commit)
    return {}


@operations.handles("UntagResource")
def untag_resource(call: Call, given: Document) -> Document:
    def commit(connection: Connection) -> None:
        tagging.drop(connection, _arn(connection, call, given), given["TagKeys"])

    call.platform.stores.records.write(commit)
    return {}


@operations.handles("ListTagsForResource")
def list_tags_for_resource(call: Call, given: Document) -> Document:
    found = call.platform.stores.records.read(lambda connection: tagging.of(connection, _arn(connection, call, given)))
    return {"Tags": [{"Key": key, "Value": value} for key, value in found.items()]}


def _arn(connection: Connection, call: Call, given: Document) -> str:
    """Of the topic. Raises ResourceNotFound."""
    found = topic_records.by_arn(connection, given["ResourceArn"])
    if found is None or found.region != call.region:
        raise faults.no_resource()
    return found.arn
