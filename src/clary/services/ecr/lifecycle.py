"""Lifecycle policies of repositories, and what they would do."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.engine import Connection

from clary.errors import ServiceError
from clary.registry import repositories
from clary.registry.repositories import Repository
from clary.services.ecr import faults, finding, lifecycle_rules, lifecycle_sweep, paging
from clary.services.ecr.lifecycle_rules import Expired
from clary.services.operation import Call, Document, Operations

operations = Operations()

_EXPIRE = {"type": "EXPIRE"}


@operations.handles("PutLifecyclePolicy")
def put_lifecycle_policy(call: Call, given: Document) -> Document:
    text = given["lifecyclePolicyText"]
    lifecycle_rules.parse(text)

    def work(connection: Connection) -> Repository:
        repository = finding.find(connection, finding.place(call, given))
        repositories.change(connection, repository, lifecycle=text, evaluated=None)
        return repository

    return _shown(finding.write(call, work), text)


@operations.handles("GetLifecyclePolicy")
def get_lifecycle_policy(call: Call, given: Document) -> Document:
    repository = finding.read(call, lambda connection: _with_policy(connection, call, given))
    return {**_shown(repository, repository.lifecycle), **_evaluated(repository)}


@operations.handles("DeleteLifecyclePolicy")
def delete_lifecycle_policy(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Repository:
        repository = _with_policy(connection, call, given)
        repositories.change(connection, repository, lifecycle=None, evaluated=None)
        return repository

    repository = finding.write(call, work)
    return {**_shown(repository, repository.lifecycle), **_evaluated(repository)}


def _with_policy(connection: Connection, call: Call, given: Document) -> Repository:
    repository = finding.find(connection, finding.place(call, given))
    if repository.lifecycle is None:
        raise faults.no_lifecycle(repository.place)
    return repository


def _evaluated(repository: Repository) -> Document:
    """AWS gives the epoch where it never was."""
    return {"lastEvaluatedAt": repository.evaluated or 0.0}


def _shown(repository: Repository, text: str | None) -> Document:
    return {"registryId": repository.account, "repositoryName": repository.name, "lifecyclePolicyText": text}


@operations.handles("StartLifecyclePolicyPreview")
def start_lifecycle_policy_preview(call: Call, given: Document) -> Document:
    """It is over when it is asked for: what there is by then is looked at."""

    def work(connection: Connection) -> tuple[Repository, str]:
        repository = finding.find(connection, finding.place(call, given))
        text = given.get("lifecyclePolicyText") or repository.lifecycle
        if text is None:
            raise faults.no_lifecycle(repository.place)
        lifecycle_rules.parse(text)
        repositories.change(connection, repository, preview=text)
        return repository, text

    return {**_shown(*finding.write(call, work)), "status": "IN_PROGRESS"}


@operations.handles("GetLifecyclePolicyPreview")
def get_lifecycle_policy_preview(call: Call, given: Document) -> Document:
    place, now = finding.place(call, given), call.platform.clock.now()

    def work(connection: Connection) -> tuple[Repository, list[Expired]]:
        repository = finding.find(connection, place)
        if repository.preview is None:
            message = f"No lifecycle policy preview was started for the repository with name '{place.repository}'"
            raise ServiceError("LifecyclePolicyPreviewNotFoundException", message)
        return repository, lifecycle_sweep.due(connection, repository, repository.preview, now)

    repository, due = finding.read(call, work)
    due = [each for each in due if _asked(each, given)]

    def look(after: Sequence[str], limit: int) -> list[Expired]:
        ordered = sorted(due, key=lambda each: each.image.digest)
        return [each for each in ordered if each.image.digest > after[0]][:limit]

    found, token = paging.page(call, given, ("",), look, lambda each: (each.image.digest,))
    results = [_result(each) for each in found]
    summary = {"expiringImageTotalCount": len(due)}
    return {**_shown(repository, repository.preview), "status": "COMPLETE", "previewResults": results, **token} | {
        "summary": summary
    }


def _asked(found: Expired, given: Document) -> bool:
    """Whether the request is about it: by its filter, and by the images that it names."""
    status = (given.get("filter") or {}).get("tagStatus") or "ANY"
    named = given.get("imageIds") or []
    wanted = not named or any(
        each.get("imageDigest", found.image.digest) == found.image.digest
        and each.get("imageTag") in (None, *found.image.tags)
        for each in named
    )
    return wanted and (status == "ANY" or bool(found.image.tags) == (status == "TAGGED"))


def _result(found: Expired) -> Document:
    return {
        "imageTags": list(found.image.tags),
        "imageDigest": found.image.digest,
        "imagePushedAt": found.image.pushed,
        "action": _EXPIRE,
        "appliedRulePriority": found.priority,
    }
