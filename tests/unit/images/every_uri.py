"""Prints the image URIs that `image_uris.retrieve` of the installed SageMaker SDK can produce, one a line: of each
family, version, Python, scope, processor and two regions of different partitions. Run by .venvs/sdk2 or .venvs/sdk3."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

try:
    from sagemaker import image_uris, utils
except ImportError:
    from sagemaker.core import common_utils as utils
    from sagemaker.core import image_uris

utils._botocore_resolver = functools.cache(utils._botocore_resolver)  # it reads a megabyte of JSON each time

SCOPES = ("training", "inference", "inference_graviton", "eia", "processing")
REGIONS = ("us-west-2", "cn-north-1")
INSTANCES = {"inference_graviton": ("ml.c7g.xlarge",)}
USUAL = ("ml.m5.xlarge", "ml.p3.2xlarge", "ml.inf1.xlarge", "ml.inf2.xlarge", "ml.trn1.2xlarge", None)


def uris() -> Iterator[str]:
    for path in sorted((Path(image_uris.__file__).parent / "image_uri_config").glob("*.json")):
        config = json.loads(path.read_text())
        scopes = [scope for scope in SCOPES if scope in config] or [None]
        for scope in scopes:
            part = config[scope] if scope else config
            for version, facts in part.get("versions", {}).items():
                yield from of_version(path.stem, version, facts, scope or (part.get("scope") or [None])[0])


def of_version(family: str, version: str, facts: dict[str, Any], scope: str | None) -> Iterator[str]:
    bases = [
        key for key, value in facts.items() if key.startswith(("pytorch", "tensorflow")) and "py_versions" in value
    ]
    pythons = {
        python for base in (*bases, "") for python in (facts[base] if base else facts).get("py_versions") or [None]
    }
    pythons |= {key for key in facts if key in ("py2", "py3", "py37")}
    for python, region, instance, base in itertools.product(
        pythons, REGIONS, INSTANCES.get(scope or "", USUAL), bases or [None]
    ):
        try:
            yield image_uris.retrieve(
                framework=_name(family), region=region, version=version or None, py_version=python,
                instance_type=instance, image_scope=scope, base_framework_version=base,
                accelerator_type="ml.eia2.medium" if scope == "eia" else None,
                training_compiler_config=object() if family.endswith("-training-compiler") else None,
                inference_tool=family.rpartition("-")[2] if family.endswith(("-neuron", "-neuronx")) else None,
                container_version="cu121-ubuntu20.04" if family.startswith("huggingface") else None,
            )  # fmt: skip
        except (ValueError, KeyError, NotImplementedError, AttributeError, TypeError):
            continue  # the SDK itself refuses the combination


def _name(family: str) -> str:
    """The framework that a file of this name is read for."""
    if family in ("huggingface-neuron", "huggingface-neuronx", "pytorch-neuron"):
        return family.partition("-")[0]
    return family.removesuffix("-training-compiler")


if __name__ == "__main__":
    print("\n".join(sorted(set(uris()))))
