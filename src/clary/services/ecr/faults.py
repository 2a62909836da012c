"""ECR's errors, in its words."""

from __future__ import annotations

from clary.errors import ServiceError
from clary.registry.names import Place


def invalid(member: str, constraint: str) -> ServiceError:
    message = f"Invalid parameter at '{member}' failed to satisfy constraint: '{constraint}'"
    return ServiceError("InvalidParameterException", message)


def not_built(operation: str, member: str, why: str = "") -> ServiceError:
    """For what Clary does not honour: refused, never ignored; `why`, where there is a reason, as a sentence."""
    message = f"{operation}: {member} is not built in Clary{'' if why else ' yet'}. "
    message += why or "See docs/reference/compatibility.md."
    return ServiceError("InvalidParameterException", message)


def no_repository(place: Place) -> ServiceError:
    return ServiceError(
        "RepositoryNotFoundException", f"The repository {_named(place)} does not exist {_registry(place)}"
    )


def repository_there(place: Place) -> ServiceError:
    message = f"The repository {_named(place)} already exists {_registry(place)}"
    return ServiceError("RepositoryAlreadyExistsException", message)


def not_empty(place: Place) -> ServiceError:
    message = (
        f"The repository {_named(place)} in registry with id '{place.account}' cannot be deleted because it still "
        "contains images"
    )
    return ServiceError("RepositoryNotEmptyException", message)


def no_policy(place: Place) -> ServiceError:
    message = f"Repository policy does not exist for the repository {_named(place)} {_registry(place)}"
    return ServiceError("RepositoryPolicyNotFoundException", message)


def no_lifecycle(place: Place) -> ServiceError:
    message = f"Lifecycle policy does not exist for the repository {_named(place)} {_registry(place)}"
    return ServiceError("LifecyclePolicyNotFoundException", message)


def no_image(place: Place, digest: str | None, tag: str | None) -> ServiceError:
    message = f"The image with imageId {identity(digest, tag)} does not exist within the repository {_named(place)}"
    message += f" {_registry(place)}"
    return ServiceError("ImageNotFoundException", message)


def identity(digest: str | None, tag: str | None) -> str:
    return f"{{imageDigest:'{digest or 'null'}', imageTag:'{tag or 'null'}'}}"


def image_there(place: Place, digest: str, tag: str | None) -> ServiceError:
    message = (
        f"Image with digest '{digest}' and tag '{tag}' already exists in the repository {_named(place)} in registry "
        f"with id '{place.account}'"
    )
    return ServiceError("ImageAlreadyExistsException", message)


def tag_there(place: Place, tag: str) -> ServiceError:
    message = (
        f"The image tag '{tag}' already exists in the '{place.repository}' repository and cannot be overwritten "
        "because the repository is immutable."
    )
    return ServiceError("ImageTagAlreadyExistsException", message)


def no_layers(place: Place, digests: list[str]) -> ServiceError:
    message = f"Layers with digests '{', '.join(digests)}' required for pushing image into repository {_named(place)}"
    return ServiceError("LayersNotFoundException", f"{message} {_registry(place)} do not exist")


def no_children(place: Place, digests: list[str]) -> ServiceError:
    message = f"Images with digests '{', '.join(digests)}' required for pushing image into repository {_named(place)}"
    return ServiceError("ReferencedImagesNotFoundException", f"{message} {_registry(place)} do not exist")


def layer_unknown(place: Place, digest: str) -> ServiceError:
    message = f"The layer with digest '{digest}' does not exist in the repository {_named(place)} {_registry(place)}"
    return ServiceError("LayersNotFoundException", message)


def no_upload(place: Place, upload: str) -> ServiceError:
    message = f"The upload '{upload}' could not be found in the repository {_named(place)} {_registry(place)}"
    return ServiceError("UploadNotFoundException", message)


def _named(place: Place) -> str:
    return f"with name '{place.repository}'"


def _registry(place: Place) -> str:
    return f"in the registry with id '{place.account}'"
