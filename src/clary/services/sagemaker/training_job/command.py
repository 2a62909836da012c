"""What runs in place of what a job's image runs: ContainerEntrypoint, ContainerArguments, or both, as AWS starts its
images with them."""

from __future__ import annotations

from clary.contract.instance import Image
from clary.services.operation import Document

_USUAL = "train"  # the argument that SageMaker gives where a request has none
# Whose images have an entry point that takes other arguments for a line of the shell. The others' have none, or one
# that runs them: the first is the program.
_OF_THE_SHELL = ("pytorch", "huggingface")
_LINE = ("bash", "-c", 'eval "$@"', "bash")


def is_given(specification: Document) -> bool:
    """Whether the request names another program than the image's usual one: built-in algorithms have no other."""
    return bool(specification.get("ContainerEntrypoint")) or bool(_alone(specification))


def of(specification: Document, image: Image) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(entry point, arguments). Of images that run as such, or that a folder stands for, as the request has them."""
    entry = tuple(specification.get("ContainerEntrypoint") or ())
    arguments = tuple(specification.get("ContainerArguments") or ())
    if image.kind not in ("builtin", "framework") or entry:
        return entry, arguments
    alone = tuple(_alone(specification))
    if alone and image.algorithm in _OF_THE_SHELL:
        return _LINE, alone
    return alone[:1], alone[1:]


def _alone(specification: Document) -> list[str]:
    """Arguments without an entry point that do not begin with the usual one, behind which AWS's images read none."""
    arguments: list[str] = specification.get("ContainerArguments") or []
    return [] if specification.get("ContainerEntrypoint") or arguments[:1] == [_USUAL] else arguments
