"""What the operations of ECR ask for, and the registry's requests, which are some of them: all but a few are about
repositories."""

from __future__ import annotations

from collections.abc import Iterator

from clary.registry import repositories
from clary.registry.names import Place
from clary.services.access.context import Tagged
from clary.services.access.wanted import Wanted
from clary.services.ecr import asking, finding
from clary.services.operation import Call, Document
from clary.store.engine import Database

REPOSITORIES = "arn:aws:ecr:"
PULLING = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability")

_ABOUT_NONE = frozenset(
    {
        *("GetAuthorizationToken", "GetAccountSetting", "PutAccountSetting", "DescribeRegistry"),
        *("GetRegistryPolicy", "PutRegistryPolicy", "DeleteRegistryPolicy", "PutReplicationConfiguration"),
        *(f"{verb}RepositoryCreationTemplate" for verb in ("Create", "Update", "Delete")),
        "DescribeRepositoryCreationTemplates",
        *(f"{verb}RegistryScanningConfiguration" for verb in ("Get", "Put")),
        *("DescribePullThroughCacheRules", "GetSigningConfiguration", "DeleteSigningConfiguration"),
        *(f"{verb}PullThroughCacheRule" for verb in ("Update", "Delete", "Validate")),
    }
)


def wanted(call: Call, given: Document) -> Iterator[Wanted]:
    action = f"ecr:{call.operation}"
    if call.operation in _ABOUT_NONE:
        yield Wanted(action)
        return
    if call.operation == "CreateRepository":
        yield from asking.creation(call, finding.place(call, given), given.get("tags") or ())
        return
    for resource in _resources(call, given):
        yield Wanted(action, resource, asking.keys(call, given, resource))


def pulled(objects: Database, repository: str) -> Iterator[Wanted]:
    """What SageMaker needs of a role as which it fetches an image of a repository (an ARN)."""
    yield Wanted("ecr:GetAuthorizationToken")
    for action in PULLING:
        yield Wanted(action, repository, Tagged("ecr", dict, lambda: asking.tags(objects, repository)))


def _resources(call: Call, given: Document) -> list[str]:
    if given.get("resourceArn"):
        return [given["resourceArn"]]
    names = [given["repositoryName"]] if "repositoryName" in given else given.get("repositoryNames") or ["*"]
    account = finding.registry_id(call, given)
    return [repositories.arn(Place(account, call.region, name)) for name in names]
