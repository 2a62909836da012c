"""Tags of repositories."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy.engine import Connection

from clary.errors import ServiceError
from clary.registry import repositories
from clary.services.ecr import finding
from clary.services.operation import Call, Document, Operations

operations = Operations()

_MOST = 50


def checked(given: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Key -> value. Raises InvalidTagParameterException, TooManyTagsException."""
    pairs = [(tag["Key"], tag.get("Value") or "") for tag in given]
    if any(key.lower().startswith("aws:") for key, _ in pairs):
        raise _invalid("Tag keys may not begin with aws:")
    if any(not 1 <= len(key) <= 128 or len(value) > 256 for key, value in pairs):
        raise _invalid("A tag's key has 1 to 128 characters, its value at most 256")
    if len({key for key, _ in pairs}) != len(pairs):
        raise _invalid("Duplicate tag keys")
    return bounded(dict(pairs))


def bounded(named: dict[str, str]) -> dict[str, str]:
    if len(named) > _MOST:
        raise ServiceError("TooManyTagsException", f"A repository has at most {_MOST} tags")
    return named


def _invalid(message: str) -> ServiceError:
    return ServiceError("InvalidTagParameterException", message)


@operations.handles("TagResource")
def tag_resource(call: Call, given: Document) -> Document:
    named, place = checked(given["tags"]), finding.of_arn(call, given)

    def work(connection: Connection) -> None:
        repository = finding.find(connection, place)
        repositories.change(connection, repository, tags=bounded({**repository.tags, **named}))

    finding.write(call, work)
    return {}


@operations.handles("UntagResource")
def untag_resource(call: Call, given: Document) -> Document:
    place, gone = finding.of_arn(call, given), set(given["tagKeys"])

    def work(connection: Connection) -> None:
        repository = finding.find(connection, place)
        left = {key: value for key, value in repository.tags.items() if key not in gone}
        repositories.change(connection, repository, tags=left)

    finding.write(call, work)
    return {}


@operations.handles("ListTagsForResource")
def list_tags_for_resource(call: Call, given: Document) -> Document:
    place = finding.of_arn(call, given)
    found = finding.read(call, lambda connection: finding.find(connection, place))
    return {"tags": [{"Key": key, "Value": value} for key, value in sorted(found.tags.items())]}
