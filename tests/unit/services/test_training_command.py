"""What AWS's images make of ContainerArguments alone: some have an entry point that reads a line of the shell."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from clary.config import Settings
from clary.errors import ServiceError
from clary.images.local import LocalImages
from clary.services.sagemaker.training_job import command, launch

LINE = ["echo", "$((1 + 2))", "'a  b' c"]


def started(home: Path, image: str, **specification: list[str]) -> tuple[str, list[str]]:
    """(the image's kind, the command)"""
    images = LocalImages(Settings(home=home / "home", images_home=home / "images"))
    asked = {"TrainingImage": image, **specification}
    found = launch.image_of(images, "123456789012", {"AlgorithmSpecification": asked})
    entrypoint, arguments = command.of(asked, found)
    return found.kind, [*entrypoint, *arguments]


@pytest.mark.parametrize(
    "image", ["pytorch-training:2.8.0-cpu-py312", "huggingface-pytorch-training:2.1.0-transformers4.36.0-cpu-py310"]
)
def test_a_line_of_the_shell(tmp_path: Path, image: str) -> None:
    _, words = started(tmp_path, image, ContainerArguments=LINE)
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "3 a  b c\n"


@pytest.mark.parametrize(
    "image", ["sagemaker-scikit-learn:1.2-1", "sagemaker-xgboost:1.7-1", "tensorflow-training:2.19.0-cpu-py312"]
)
def test_the_first_is_the_program(tmp_path: Path, image: str) -> None:
    assert started(tmp_path, image, ContainerArguments=LINE) == ("framework", LINE)


@pytest.mark.parametrize("image", ["pytorch-training:2.8.0-cpu-py312", "sagemaker-xgboost:1.7-1", "xgboost:1"])
def test_train_is_what_an_image_is_given_anyway(tmp_path: Path, image: str) -> None:
    kind, words = started(tmp_path, image, ContainerArguments=["train"])
    assert words == [] and kind == ("framework" if "pytorch" in image else "builtin")


def test_an_entry_point_takes_the_arguments_as_they_are(tmp_path: Path) -> None:
    given = {"ContainerEntrypoint": ["echo"], "ContainerArguments": ["train", "a b"]}
    assert started(tmp_path, "pytorch-training:2.8.0-cpu-py312", **given)[1] == ["echo", "train", "a b"]
    for words in (given, {"ContainerArguments": ["echo"]}):
        with pytest.raises(ServiceError, match="is a built-in algorithm, which runs no script"):
            started(tmp_path, "xgboost:1", **words)
