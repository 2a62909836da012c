"""What other services and other registries would have to be asked for: there are no rules for that, and none can be
made."""

from __future__ import annotations

from clary.errors import ServiceError
from clary.services.ecr import finding
from clary.services.operation import Call, Document, Operations

operations = Operations()

operations.leaves_out(
    "A server has no way to the registries of the internet: copy images with skopeo, from where there is one.",
    "CreatePullThroughCacheRule",
)
operations.leaves_out("There is no AWS Signer here: sign images with cosign or notation.", "PutSigningConfiguration")


@operations.handles("DescribePullThroughCacheRules")
def describe_pull_through_cache_rules(call: Call, given: Document) -> Document:
    if given.get("ecrRepositoryPrefixes"):
        raise _no_rule(call, given["ecrRepositoryPrefixes"][0])
    return {"pullThroughCacheRules": []}


@operations.handles("DeletePullThroughCacheRule")
@operations.handles("UpdatePullThroughCacheRule")
@operations.handles("ValidatePullThroughCacheRule")
def about_a_pull_through_cache_rule(call: Call, given: Document) -> Document:
    raise _no_rule(call, given["ecrRepositoryPrefix"])


def _no_rule(call: Call, prefix: str) -> ServiceError:
    message = (
        f"The pull through cache rule with the repository prefix '{prefix}' does not exist in the registry with id "
        f"'{call.account}'"
    )
    return ServiceError("PullThroughCacheRuleNotFoundException", message)


@operations.handles("GetSigningConfiguration")
@operations.handles("DeleteSigningConfiguration")
def about_the_signing_configuration(call: Call, given: Document) -> Document:
    message = f"The registry with id '{call.account}' has no signing configuration"
    raise ServiceError("SigningConfigurationNotFoundException", message)


@operations.handles("DescribeImageSigningStatus")
def describe_image_signing_status(call: Call, given: Document) -> Document:
    """No rule signs any image."""
    place, identity = finding.place(call, given), finding.identity(given["imageId"])
    finding.read(call, lambda connection: finding.image(connection, place, *identity))
    named = {"registryId": place.account, "repositoryName": place.repository, "imageId": given["imageId"]}
    return {**named, "signingStatuses": []}
