"""Tags of log groups, by the old operations (by name) and the new ones (by ARN)."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.engine import Connection

from clary.errors import ServiceError
from clary.services.logs import naming
from clary.services.operation import Call, Document, Operations
from clary.store import logs

operations = Operations()

_MOST = 50


@operations.handles("TagLogGroup")
def tag_log_group(call: Call, given: Document) -> Document:
    return _change(call, given["logGroupName"], lambda tags: tags | given["tags"])


@operations.handles("UntagLogGroup")
def untag_log_group(call: Call, given: Document) -> Document:
    return _change(call, given["logGroupName"], lambda tags: _without(tags, given["tags"]))


@operations.handles("ListTagsLogGroup")
def list_tags_log_group(call: Call, given: Document) -> Document:
    return _listed(call, given["logGroupName"])


@operations.handles("TagResource")
def tag_resource(call: Call, given: Document) -> Document:
    return _change(call, naming.name_of(call, given["resourceArn"]), lambda tags: tags | given["tags"])


@operations.handles("UntagResource")
def untag_resource(call: Call, given: Document) -> Document:
    return _change(call, naming.name_of(call, given["resourceArn"]), lambda tags: _without(tags, given["tagKeys"]))


@operations.handles("ListTagsForResource")
def list_tags_for_resource(call: Call, given: Document) -> Document:
    return _listed(call, naming.name_of(call, given["resourceArn"]))


def _change(call: Call, name: str, change: Callable[[dict[str, str]], dict[str, str]]) -> Document:
    def work(connection: Connection) -> None:
        group = naming.find_group(connection, call, name)
        tags = change(group.tags)
        if len(tags) > _MOST:
            message = f"The resource cannot have more than {_MOST} tags."
            raise ServiceError("TooManyTagsException", message, members={"resourceName": naming.group_arn(group)})
        logs.change_group(connection, group, tags=tags)

    call.platform.stores.logs.write(work)
    return {}


def _listed(call: Call, name: str) -> Document:
    return {"tags": call.platform.stores.logs.read(lambda connection: naming.find_group(connection, call, name).tags)}


def _without(tags: dict[str, str], keys: list[str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if key not in keys}
