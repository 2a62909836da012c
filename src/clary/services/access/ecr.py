"""What the operations of ECR ask for, and the registry's requests, which are some of them: all but a few are about
repositories."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlalchemy.engine import Connection

from clary.registry import repositories
from clary.registry.names import Place
from clary.services.access.context import Keys, Tagged, of_tags
from clary.services.access.wanted import Wanted, tags_of
from clary.services.ecr import finding
from clary.services.operation import Call, Document
from clary.store.engine import Database

REPOSITORIES = "arn:aws:ecr:"
PULLING = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability")

_ABOUT_NONE = frozenset({"GetAuthorizationToken"})


def wanted(call: Call, given: Document) -> Iterator[Wanted]:
    action = f"ecr:{call.operation}"
    if call.operation in _ABOUT_NONE:
        yield Wanted(action)
        return
    for resource in _resources(call, given):
        yield Wanted(action, resource, _keys(call, given, resource))
        if call.operation == "CreateRepository" and given.get("tags"):
            yield Wanted("ecr:TagResource", resource, _keys(call, given, resource))


def pulled(objects: Database, repository: str) -> Iterator[Wanted]:
    """What SageMaker needs of a role as which it fetches an image of a repository (an ARN)."""
    yield Wanted("ecr:GetAuthorizationToken")
    for action in PULLING:
        yield Wanted(action, repository, Tagged("ecr", dict, lambda: _tags(objects, repository)))


def may_read_layers(call: Call, place: Place) -> bool:
    """Whether the caller may take layers from another repository than the one that the request is about."""
    resource = repositories.arn(place)
    return call.caller.decide("ecr:GetDownloadUrlForLayer", resource, _keys(call, {}, resource)).allowed


def _resources(call: Call, given: Document) -> list[str]:
    if given.get("resourceArn"):
        return [given["resourceArn"]]
    names = [given["repositoryName"]] if "repositoryName" in given else given.get("repositoryNames") or ["*"]
    account = finding.registry_id(call, given)
    return [repositories.arn(Place(account, call.region, name)) for name in names]


def _keys(call: Call, given: Document, resource: str) -> Tagged:
    return Tagged("ecr", lambda: _context(given), lambda: _tags(call.platform.stores.objects, resource))


def _context(given: Document) -> Keys:
    keys = of_tags(tags_of(given.get("tags")))
    return {**keys, "aws:tagkeys": tuple(given["tagKeys"])} if given.get("tagKeys") else keys


def _tags(objects: Database, resource: str) -> Mapping[str, str]:
    def look(connection: Connection) -> Mapping[str, str]:
        place = finding.by_arn(resource)
        found = None if place is None else repositories.find(connection, place)
        return {} if found is None else found.tags

    return objects.read(look)
