"""Amazon ECR: repositories of container images, and the registry that engines push to and pull from."""

from clary.services.ecr import details, images, layers, lifecycle, policies, repositories, tags, tokens
from clary.services.operation import Operations

OPERATIONS = Operations()
for _part in (repositories, policies, tags, tokens, layers, images, details, lifecycle):
    OPERATIONS.include(_part.operations)

VALIDATION_CODE = "InvalidParameterException"

__all__ = ["OPERATIONS", "VALIDATION_CODE"]
