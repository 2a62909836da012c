"""Repository policies: who else may come to a repository, and who of its own account may not."""

from __future__ import annotations

import functools

from sqlalchemy.engine import Connection

from clary.auth.policy import MalformedPolicy, Policy, Side, parse
from clary.registry import repositories
from clary.registry.repositories import Repository
from clary.services.ecr import faults, finding
from clary.services.iam import principals
from clary.services.operation import Call, Document, Operations

operations = Operations()

_INVALID = "Invalid repository policy provided"


def side(connection: Connection, arn: str) -> Side | None:
    """Whose the repository is and what its policy says; None for an ARN that names no repository."""
    place = finding.by_arn(arn)
    if place is None:
        return None
    found = repositories.find(connection, place)
    return Side(place.account, None if found is None or found.policy is None else _read(found.policy, arn))


@functools.lru_cache(1024)  # pure, so never stale
def _read(text: str, source: str) -> Policy | None:
    try:
        return parse(text, source)
    except MalformedPolicy:
        return None


@operations.handles("SetRepositoryPolicy")
def set_repository_policy(call: Call, given: Document) -> Document:
    place, text = finding.place(call, given), given["policyText"]
    _check(text)
    if not given.get("force") and _locks_out(call, text):
        raise faults.invalid("PolicyText", "The new policy would keep its author from setting another; force it")
    stored = _pinned(call, text)

    def work(connection: Connection) -> Repository:
        repository = finding.find(connection, place)
        repositories.change(connection, repository, policy=stored)
        return repository

    return _shown(finding.write(call, work), text)


def _check(text: str) -> None:
    """Raises InvalidParameterException. A statement names no resource: it is the repository."""
    try:
        policy = parse(text)
    except MalformedPolicy:
        raise faults.invalid("PolicyText", _INVALID) from None
    for statement in policy.statements:
        ours = statement.actions is not None and all(
            pattern.text == "*" or pattern.text.lower().startswith("ecr:") for pattern in statement.actions.patterns
        )
        if statement.whom is None or not ours or statement.resources is not None:
            raise faults.invalid("PolicyText", _INVALID)


def _locks_out(call: Call, text: str) -> bool:
    """Whether the policy denies its author the next change of it."""
    policy = parse(text)
    denying = (each for each in policy.about("ecr:setrepositorypolicy") if not each.allow and not each.conditions)
    return any(each.whom is not None and each.whom.reach(call.principal, False, False) for each in denying)


def _pinned(call: Call, text: str) -> str:
    try:
        return call.platform.stores.records.read(lambda connection: principals.pin(connection, text))
    except principals.UnknownPrincipal:
        message = "Invalid repository policy provided: it names a principal who does not exist"
        raise faults.invalid("PolicyText", message) from None


@operations.handles("GetRepositoryPolicy")
def get_repository_policy(call: Call, given: Document) -> Document:
    repository = finding.read(call, lambda connection: _with_policy(connection, call, given))
    return _shown(repository, _told(call, repository))


@operations.handles("DeleteRepositoryPolicy")
def delete_repository_policy(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Repository:
        repository = _with_policy(connection, call, given)
        repositories.change(connection, repository, policy=None)
        return repository

    repository = finding.write(call, work)
    return _shown(repository, _told(call, repository))


def _with_policy(connection: Connection, call: Call, given: Document) -> Repository:
    repository = finding.find(connection, finding.place(call, given))
    if repository.policy is None:
        raise faults.no_policy(repository.place)
    return repository


def _told(call: Call, repository: Repository) -> str:
    stored = repository.policy or ""
    return call.platform.stores.records.read(lambda connection: principals.show(connection, stored))


def _shown(repository: Repository, text: str) -> Document:
    return {"registryId": repository.account, "repositoryName": repository.name, "policyText": text}
