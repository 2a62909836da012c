"""What an @remote function runs in that names no image: the Python of its client, wherever the SDK or `clary run` names
one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clary.config import Settings
from clary.images import pythons
from clary.images.base import ImageNotOffered
from clary.images.local import LocalImages
from clary.services.sagemaker.training_job import launch

REGISTRY = "123456789012.dkr.ecr.us-east-1.amazonaws.com"


@pytest.mark.parametrize(
    ("image", "client", "name"),
    [
        (f"{REGISTRY}/sagemaker-base-python:1.0", "3.10", "python-3.10"),
        (f"{REGISTRY}/sagemaker-base-python:1.0", "3.14", "python-3.14"),
        ("sagemaker-base-python", pythons.OWN, "python"),
        ("sagemaker-base-python:1.0", "", "python"),
        ("sagemaker-base-python:1.0", "4/../..", "python"),
        ("sagemaker-base-python-399:1.0", "3.10", "python-3.99"),
        ("sagemaker-scikit-learn:1.2-1-cpu-py3", "3.10", "scikit-learn"),
    ],
)
def test_the_python_of_the_client(tmp_path: Path, image: str, client: str, name: str) -> None:
    assert Path(environment(tmp_path, image, client)).name.rpartition("-")[0] == name


def test_a_client_that_is_too_old_is_told(tmp_path: Path) -> None:
    with pytest.raises(ImageNotOffered, match=r"for Python 3\.8, and jobs run here on 3\.10 and newer"):
        environment(tmp_path, "sagemaker-base-python:1.0", "3.8")


def environment(home: Path, image: str, client: str) -> str:
    images = LocalImages(Settings(home=home / "home", images_home=home / "images"))
    asked: dict[str, Any] = {"TrainingImage": image, "ContainerEntrypoint": ["bash"]}
    if client:
        asked["ContainerArguments"] = ["--region", "us-east-1", "--client_python_version", client, "--more", "x"]
    return launch.image_of(images, "123456789012", {"AlgorithmSpecification": asked}).environment
