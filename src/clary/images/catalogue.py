"""Image URIs to algorithms, by repository and tag: account, region and DNS suffix do not matter."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from clary.algorithms import registry
from clary.algorithms.declaration import AlgorithmSpec
from clary.images.base import ImageNotOffered

# AWS's repositories that Clary knows and does not run yet
KNOWN = frozenset(
    (
        "kmeans", "pca", "ntm", "linear-learner", "factorization-machines", "randomcutforest", "knn", "ipinsights",
        "object2vec", "blazingtext", "seq2seq", "image-classification", "object-detection", "semantic-segmentation",
        "forecasting-deepar", "lda", "sagemaker-scikit-learn", "sagemaker-sparkml-serving", "sagemaker-debugger-rules",
        "tensorflow-training", "tensorflow-inference", "pytorch-training", "pytorch-inference", "autogluon-training",
        "autogluon-inference", "huggingface-pytorch-training", "huggingface-pytorch-inference", "mxnet-training",
        "mxnet-inference", "sagemaker-spark-processing", "sagemaker-base-python", "sagemaker-distribution-prod",
    )
)  # fmt: skip

_URI = re.compile(
    r"(?:(?P<host>[^/]+[.:][^/]+)/)?(?P<repository>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?P<digest>@sha256:[0-9a-f]{64})?"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """A taken-apart image URI; `tag` is "latest" where the URI has none."""

    repository: str
    tag: str


def parse(uri: str) -> Reference:
    """Raises ImageNotOffered for what is no image URI, and for digests: Clary has no images to take a digest of."""
    match = _URI.fullmatch(uri)
    if match is None:
        raise ImageNotOffered(f"'{uri}' is not a valid image URI.")
    if match["digest"]:
        raise ImageNotOffered(f"Image '{uri}' is named by digest; name it by tag. {_offered()}")
    return Reference(match["repository"], match["tag"] or "latest")


@functools.lru_cache(256)  # it changes with the program only
def find(uri: str) -> AlgorithmSpec:
    """The built-in algorithm that the image means; raises ImageNotOffered saying what exists instead."""
    reference = parse(uri)
    for spec in registry.specs():
        for repository in spec.repositories:
            if repository.name != reference.repository:
                continue
            if reference.tag in repository.tags:
                return spec
            tags = ", ".join(repository.tags)
            raise ImageNotOffered(
                f"Image '{uri}' is not offered: {repository.name} has no tag '{reference.tag}'. Tags: {tags}."
            )
    if reference.repository in KNOWN:
        raise ImageNotOffered(f"Image '{uri}' is known but not built in Clary yet. {_offered()}")
    raise ImageNotOffered(f"Image '{uri}' is not known to Clary, which runs built-in images only so far. {_offered()}")


def _offered() -> str:
    names = sorted(repository.name for spec in registry.specs() for repository in spec.repositories)
    return f"Offered: {', '.join(names)}."
