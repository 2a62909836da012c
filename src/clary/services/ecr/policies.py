"""Repository policies: who else may come to a repository, and who of its own account may not."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from clary.auth.policy import Side, parse
from clary.registry import registries, repositories
from clary.registry.repositories import Repository
from clary.services.ecr import faults, finding, policy_texts
from clary.services.operation import Call, Document, Operations

operations = Operations()


def side(connection: Connection, arn: str) -> Side | None:
    """Whose the repository is, and what its own policy and the registry's say; None for an ARN that names no
    repository, nor all of a registry."""
    place = finding.by_arn(arn)
    if place is None:
        return None
    registry = registries.find(connection, place.account, place.region)
    shared = policy_texts.read(registry.policy, registry.arn)
    found = repositories.find(connection, place)
    own = None if found is None else policy_texts.read(found.policy, arn)
    return Side(place.account, policy_texts.together(own, shared) if own and shared else own or shared)


@operations.handles("SetRepositoryPolicy")
def set_repository_policy(call: Call, given: Document) -> Document:
    place, text = finding.place(call, given), given["policyText"]
    stored = policy_texts.of_repository(call, text)
    if not given.get("force") and _locks_out(call, text):
        raise faults.invalid("PolicyText", "The new policy would keep its author from setting another; force it")

    def work(connection: Connection) -> Repository:
        repository = finding.find(connection, place)
        repositories.change(connection, repository, policy=stored)
        return repository

    return _shown(finding.write(call, work), text)


def _locks_out(call: Call, text: str) -> bool:
    """Whether the policy denies its author the next change of it."""
    policy = parse(text)
    denying = (each for each in policy.about("ecr:setrepositorypolicy") if not each.allow and not each.conditions)
    return any(each.whom is not None and each.whom.reach(call.principal, False, False) for each in denying)


@operations.handles("GetRepositoryPolicy")
def get_repository_policy(call: Call, given: Document) -> Document:
    repository = finding.read(call, lambda connection: _with_policy(connection, call, given))
    return _shown(repository, policy_texts.told(call, repository.policy or ""))


@operations.handles("DeleteRepositoryPolicy")
def delete_repository_policy(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Repository:
        repository = _with_policy(connection, call, given)
        repositories.change(connection, repository, policy=None)
        return repository

    repository = finding.write(call, work)
    return _shown(repository, policy_texts.told(call, repository.policy or ""))


def _with_policy(connection: Connection, call: Call, given: Document) -> Repository:
    repository = finding.find(connection, finding.place(call, given))
    if repository.policy is None:
        raise faults.no_policy(repository.place)
    return repository


def _shown(repository: Repository, text: str) -> Document:
    return {"registryId": repository.account, "repositoryName": repository.name, "policyText": text}
