"""Amazon ECR: repositories of container images, and the registry that engines push to and pull from."""

from clary.services.ecr import (
    details,
    download_urls,
    elsewhere,
    images,
    layers,
    lifecycle,
    policies,
    registries,
    replication,
    repositories,
    scanning,
    tags,
    templates,
    tokens,
)
from clary.services.operation import Operations

OPERATIONS = Operations()
for _part in (repositories, policies, tags, tokens, layers, images, details, lifecycle, download_urls):
    OPERATIONS.include(_part.operations)
for _part in (registries, templates, replication, scanning, elsewhere):
    OPERATIONS.include(_part.operations)

VALIDATION_CODE = "InvalidParameterException"

__all__ = ["OPERATIONS", "VALIDATION_CODE"]
