"""What policies are asked about repositories, be it before an operation or on its way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy.engine import Connection

from clary.registry import repositories
from clary.registry.names import Place
from clary.services.access.context import Keys, Tagged, of_tags
from clary.services.access.denials import require
from clary.services.access.wanted import Wanted, tags_of
from clary.services.ecr import finding
from clary.services.operation import Call, Document
from clary.store.engine import Database


def creation(call: Call, place: Place, named: Sequence[Mapping[str, str]]) -> Iterator[Wanted]:
    """What it takes to create a repository with these tags."""
    resource = repositories.arn(place)
    given = keys(call, {"tags": named}, resource)
    yield Wanted("ecr:CreateRepository", resource, given)
    if named:
        yield Wanted("ecr:TagResource", resource, given)


def require_creation(call: Call, place: Place, named: Sequence[Mapping[str, str]]) -> None:
    """Raises AccessDeniedException, where the caller may not create it."""
    for each in creation(call, place, named):
        require(call, each)


def may_read_layers(call: Call, place: Place) -> bool:
    """Whether the caller may take layers from another repository than the one that the request is about."""
    resource = repositories.arn(place)
    return call.caller.decide("ecr:GetDownloadUrlForLayer", resource, keys(call, {}, resource)).allowed


def keys(call: Call, given: Document, resource: str) -> Tagged:
    """The condition keys that a request about a repository has."""
    return Tagged("ecr", lambda: _context(given), lambda: tags(call.platform.stores.objects, resource))


def _context(given: Document) -> Keys:
    found = of_tags(tags_of(given.get("tags")))
    return {**found, "aws:tagkeys": tuple(given["tagKeys"])} if given.get("tagKeys") else found


def tags(objects: Database, resource: str) -> Mapping[str, str]:
    """Of the repository that an ARN names, if there is one."""

    def look(connection: Connection) -> Mapping[str, str]:
        place = finding.by_arn(resource)
        found = None if place is None else repositories.find(connection, place)
        return {} if found is None else found.tags

    return objects.read(look)
