"""Templates of the repositories that a registry makes by itself, and what it makes after them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import Connection

from clary.errors import ServiceError
from clary.registry import templates
from clary.registry.templates import Template
from clary.services.ecr import encrypting, faults, finding, lifecycle_rules, mutability, paging, policy_texts, tags
from clary.services.operation import Call, Document, Operations

operations = Operations()

_MOST = 50  # of a registry
_POLICY, _LIFECYCLE, _TAGS = "repositoryPolicy", "lifecyclePolicy", "resourceTags"
_MUTABILITY = ("imageTagMutability", "imageTagMutabilityExclusionFilters")
_SET = ("description", "appliedFor", "encryptionConfiguration", _TAGS, *_MUTABILITY, _POLICY, _LIFECYCLE)


@operations.handles("CreateRepositoryCreationTemplate")
def create_repository_creation_template(call: Call, given: Document) -> Document:
    prefix, now = _prefix(given), call.platform.clock.now()
    document = {**mutability.checked({}), **_said(call, given)}

    def work(connection: Connection) -> Template:
        if templates.find(connection, call.account, call.region, prefix) is not None:
            message = f"The template with prefix '{prefix}' already exists in the registry with id '{call.account}'"
            raise ServiceError("TemplateAlreadyExistsException", message)
        if templates.count(connection, call.account, call.region) >= _MOST:
            raise ServiceError("LimitExceededException", f"A registry has at most {_MOST} templates")
        made = Template(call.account, call.region, prefix, document, now, now)
        templates.put(connection, made)
        return made

    return _answer(call, finding.write(call, work))


@operations.handles("UpdateRepositoryCreationTemplate")
def update_repository_creation_template(call: Call, given: Document) -> Document:
    now, said = call.platform.clock.now(), _said(call, given)
    over = _MUTABILITY if said.keys() & set(_MUTABILITY) else ()

    def work(connection: Connection) -> Template:
        found = _find(connection, call, given)
        left = {name: value for name, value in found.document.items() if name not in over}
        changed = dataclasses.replace(found, document={**left, **said}, updated=now)
        templates.put(connection, changed)
        return changed

    return _answer(call, finding.write(call, work))


@operations.handles("DeleteRepositoryCreationTemplate")
def delete_repository_creation_template(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Template:
        found = _find(connection, call, given)
        templates.remove(connection, found)
        return found

    return _answer(call, finding.write(call, work))


@operations.handles("DescribeRepositoryCreationTemplates")
def describe_repository_creation_templates(call: Call, given: Document) -> Document:
    wanted = {_prefix({"prefix": each}) for each in given.get("prefixes") or ()}

    def look(after: Sequence[str], limit: int) -> list[Template]:
        def work(connection: Connection) -> list[Template]:
            if not wanted:
                return templates.page(connection, call.account, call.region, after[0], limit)
            named = (templates.find(connection, call.account, call.region, each) for each in sorted(wanted))
            return [each for each in named if each is not None and each.prefix > after[0]][:limit]

        return finding.read(call, work)

    found, token = paging.page(call, given, ("",), look, lambda each: (each.prefix,))
    told = [_told(call, each) for each in found]
    return {"registryId": call.account, "repositoryCreationTemplates": told, **token}


def _prefix(given: Document) -> str:
    """A slash at its end is always meant."""
    return str(given["prefix"]).rstrip("/")


def _find(connection: Connection, call: Call, given: Document) -> Template:
    prefix = _prefix(given)
    found = templates.find(connection, call.account, call.region, prefix)
    if found is None:
        message = f"The template with prefix '{prefix}' does not exist in the registry with id '{call.account}'"
        raise ServiceError("TemplateNotFoundException", message)
    return found


def _said(call: Call, given: Document) -> dict[str, Any]:
    """What a request sets, as it is stored. Raises InvalidParameterException."""
    if given.get("customRoleArn"):
        raise faults.not_built(call.operation, "customRoleArn")
    encrypting.wanted(call.operation, given.get("encryptionConfiguration"), call.platform.settings)
    tags.checked(given.get(_TAGS) or ())
    if given.get(_LIFECYCLE):
        lifecycle_rules.parse(given[_LIFECYCLE])
    said = {name: given[name] for name in _SET if given.get(name) is not None}
    if said.get(_POLICY):
        said[_POLICY] = policy_texts.of_repository(call, said[_POLICY])
    if said.keys() & set(_MUTABILITY):
        said.update(mutability.checked(given))
    return said


def _answer(call: Call, template: Template) -> Document:
    return {"registryId": template.account, "repositoryCreationTemplate": _told(call, template)}


def _told(call: Call, template: Template) -> Document:
    shown = dict(template.document)
    if shown.get(_POLICY):
        shown[_POLICY] = policy_texts.told(call, shown[_POLICY])
    return {"prefix": template.prefix, **shown, "createdAt": template.created, "updatedAt": template.updated}
