"""Repositories, and what is set on them."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from clary.registry import repositories
from clary.registry.names import Place
from clary.registry.repositories import Repository, RepositoryTaken
from clary.services.ecr import encrypting, faults, finding, mutability, paging, scanning, tags
from clary.services.operation import Call, Document, Operations

operations = Operations()


@operations.handles("CreateRepository")
def create_repository(call: Call, given: Document) -> Document:
    if scanning.is_asked_for(given):
        raise faults.not_built(call.operation, "imageScanningConfiguration.scanOnPush", why=scanning.WHY)
    encrypted = encrypting.wanted(call.operation, given.get("encryptionConfiguration"), call.platform.settings)
    settings, named = mutability.checked(given), tags.checked(given.get("tags") or ())
    if given.get("registryId", call.account) != call.account:
        raise faults.invalid("registryId", "A repository is made in its maker's own registry")
    place, now = Place(call.account, call.region, given["repositoryName"]), call.platform.clock.now()

    def work(connection: Connection) -> Repository:
        return repositories.add(connection, place, now, settings, encrypted, named)

    try:
        return {"repository": _shown(call, finding.write(call, work))}
    except RepositoryTaken:
        raise faults.repository_there(place) from None


@operations.handles("DescribeRepositories")
def describe_repositories(call: Call, given: Document) -> Document:
    account, names = finding.registry_id(call, given), given.get("repositoryNames")
    if names:
        if given.get("maxResults") or given.get("nextToken"):
            raise faults.invalid("repositoryNames", "Pages are not for repositories that are named")
        places = [Place(account, call.region, name) for name in names]
        named = finding.read(call, lambda connection: [finding.find(connection, each) for each in places])
        return {"repositories": [_shown(call, each) for each in named]}

    def look(after: tuple[str, ...], limit: int) -> list[Repository]:
        return finding.read(
            call, lambda connection: repositories.page(connection, account, call.region, after[0], limit)
        )

    found, token = paging.page(call, given, ("",), look, lambda each: (each.name,))
    return {"repositories": [_shown(call, each) for each in found], **token}


@operations.handles("DeleteRepository")
def delete_repository(call: Call, given: Document) -> Document:
    place = finding.place(call, given)

    def work(connection: Connection) -> tuple[Repository, list[str]]:
        repository = finding.find(connection, place)
        if not given.get("force") and not repositories.is_empty(connection, repository):
            raise faults.not_empty(place)
        return repository, repositories.remove(connection, repository)

    repository, freed = finding.write(call, work)
    finding.kept(call).discard(freed)
    return {"repository": _shown(call, repository)}


@operations.handles("PutImageTagMutability")
def put_image_tag_mutability(call: Call, given: Document) -> Document:
    changed = mutability.checked(given)

    def work(connection: Connection) -> Repository:
        repository = finding.find(connection, finding.place(call, given))
        repositories.change(connection, repository, settings=changed)
        return repository

    return {**_named(finding.write(call, work)), **changed}


def _named(repository: Repository) -> Document:
    return {"registryId": repository.account, "repositoryName": repository.name}


def _shown(call: Call, repository: Repository) -> Document:
    return {
        **_named(repository),
        "repositoryArn": repository.arn,
        "repositoryUri": finding.uri(call, repository),
        "createdAt": repository.created,
        **repository.settings,
        **scanning.OFF,
        **({"encryptionConfiguration": {"encryptionType": encrypting.AES256}} if repository.encrypted else {}),
    }
