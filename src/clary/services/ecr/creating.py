"""Repositories that a registry makes by itself, after its templates: for who pushes to one that is not there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Connection

from clary.config import Settings
from clary.registry import repositories, templates
from clary.registry.names import Place
from clary.registry.repositories import Repository
from clary.registry.templates import Template
from clary.services.ecr import asking, encrypting, faults, finding, mutability, tags
from clary.services.operation import Call

_ON_PUSH = "CREATE_ON_PUSH"


def pushed_to(call: Call, place: Place) -> Repository:
    """The repository; made now, if one of the registry's templates is for that and the caller may create it. Raises
    RepositoryNotFoundException, AccessDeniedException."""

    def look(connection: Connection) -> tuple[Repository | None, Template | None]:
        found = repositories.find(connection, place)
        return found, None if found else templates.matching(connection, place, _ON_PUSH)

    found, template = finding.read(call, look)
    if found is not None:
        return found
    if template is None:
        raise faults.no_repository(place)
    document, now, settings = template.document, call.platform.clock.now(), call.platform.settings
    asking.require_creation(call, place, document.get("resourceTags") or ())
    return finding.write(call, lambda connection: make(connection, place, document, now, settings))


def make(
    connection: Connection, place: Place, document: Mapping[str, Any], now: float, settings: Settings
) -> Repository:
    """The repository, as a template says that is checked, unless it is there."""
    there = repositories.find(connection, place)
    if there is not None:
        return there
    encrypted = encrypting.wanted("", document.get("encryptionConfiguration"), settings)
    named = tags.checked(document.get("resourceTags") or ())
    made = repositories.add(connection, place, now, mutability.checked(document), encrypted, named)
    policy, lifecycle = document.get("repositoryPolicy") or None, document.get("lifecyclePolicy") or None
    repositories.change(connection, made, policy=policy, lifecycle=lifecycle)
    return repositories.again(connection, made)
