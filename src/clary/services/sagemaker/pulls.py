"""Images of ECR repositories are fetched as the execution role: AWS's words where that may not."""

from __future__ import annotations

from clary.context import Platform
from clary.contract.instance import Image
from clary.errors import validation
from clary.services.access import pulling
from clary.services.access.ecr import PULLING


def check_training(platform: Platform, image: Image, role: str) -> None:
    """That a training job of the role may have the image. Raises ValidationException."""
    missing = pulling.lacking(platform, role, image.repository) if image.repository else ""
    if missing:
        account, name = _names(image)
        needed = ", ".join(sorted(PULLING) if missing in PULLING else (missing,))
        raise validation(
            f"Access denied for repository: {name} in registry ID: {account}. Please check if your ECR repository and "
            f"image exist and role {role} has proper pull permissions for SageMaker: {needed}"
        )


def check_hosting(platform: Platform, image: Image, role: str) -> None:
    """That an instance of an endpoint may have the image, for a model of the role. Raises ValidationException."""
    missing = pulling.lacking(platform, role, image.repository) if image.repository else ""
    if missing:
        action = missing.partition(":")[2]
        raise validation(f"The role '{role}' does not have {action} permission for the image: '{image.uri}'.")


def _names(image: Image) -> tuple[str, str]:
    """(account, name) of its repository."""
    head, _, name = image.repository.partition(":repository/")
    return head.rpartition(":")[2], name
