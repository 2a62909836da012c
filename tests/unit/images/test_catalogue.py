"""Image URIs mean algorithms by repository and tag."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from clary.config import Settings
from clary.images import catalogue, pythons
from clary.images.base import ImageBuildFailed, ImageNotOffered
from clary.images.frameworks import TENSORFLOW, TENSORFLOW_2_15, nearest
from clary.images.local import LocalImages

ROOT = Path(__file__).parents[3]


@pytest.fixture
def images(tmp_path: Path) -> LocalImages:
    return LocalImages(Settings(home=tmp_path / "home", images_home=tmp_path / "images"))


# what sagemaker.image_uris.retrieve("xgboost", region, version) answers, in several partitions
@pytest.mark.parametrize(
    "uri",
    [
        "811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost:1",
        "811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost:latest",
        "811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost",
        "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:0.90-2-cpu-py3",
        "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.0-1-cpu-py3",
        "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:1.2-1",
        "450853457545.dkr.ecr.cn-north-1.amazonaws.com.cn/sagemaker-xgboost:1.7-1",
        "833128469047.dkr.ecr.us-iso-east-1.c2s.ic.gov/sagemaker-xgboost:1.5-1",
        "683313688378.dkr.ecr-fips.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5",
        "localhost:5000/sagemaker-xgboost:3.2-0",
        "sagemaker-xgboost:1.3-1",
    ],
)
def test_xgboost_in_all_its_names(images: LocalImages, uri: str) -> None:
    image = images.resolve(uri)
    assert (image.kind, image.algorithm, image.uri) == ("builtin", "xgboost", uri)
    assert not images.ready(image)


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:9.9-1", "has no tag '9.9-1'. Tags: 0.90-1"),
        ("382416733822.dkr.ecr.us-east-1.amazonaws.com/lda:1", "is a built-in algorithm that is not built yet: "),
        ("763104351884.dkr.ecr.us-east-1.amazonaws.com/mxnet-training:1.9.0-cpu-py38", "is MXNet, which its project"),
        ("sagemaker-chainer:5.0.0-cpu-py3", "its authors name PyTorch (`sagemaker.pytorch`) as its successor"),
        ("sagemaker-tensorflow:1.10.0-cpu-py2", "give a framework_version from 1.15 on"),
        ("pytorch-training:1.4.0-cpu-py2", 'is for Python 2: give py_version="py3". Offered: '),
        ("sagemaker-scikit-learn:latest", "'latest' is no tag of sagemaker-scikit-learn"),
        ("sagemaker-scikit-learn:0.20.0-cpu-py2", "is for Python 2"),
        ("team/mine:v1", "is not known to Clary. With `clary"),
        (
            "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/mine:v1",
            "`aws ecr list-images --repository-name team/mine`",
        ),
        (f"sagemaker-xgboost@sha256:{'0' * 64}", "is named by digest; name it by tag."),
        ("not an image", "is not a valid image URI."),
        ("", "is not a valid image URI."),
    ],
)
def test_what_is_not_offered_says_what_is(images: LocalImages, uri: str, words: str) -> None:
    with pytest.raises(ImageNotOffered) as refusal:
        images.resolve(uri)
    assert words in refusal.value.message
    assert refusal.value.code == "ValidationException"


def test_the_base_python_is_of_the_version_in_its_name(images: LocalImages) -> None:
    own, other = (images.resolve(f"sagemaker-base-python{name}:1.0") for name in ("", "-399"))
    assert (own.kind, own.algorithm, Path(own.environment).name[:7]) == ("framework", "python", "python-")
    assert Path(other.environment).name.startswith("python-3.99-")
    digits = pythons.OWN.replace(".", "")
    assert images.resolve(f"sagemaker-base-python-{digits}:1.0").environment == own.environment
    with pytest.raises(ImageNotOffered, match=r"is for Python 3\.8, and jobs run here on 3\.10 and newer"):
        images.resolve("081325390199.dkr.ecr.us-east-1.amazonaws.com/sagemaker-base-python-38:1.0")
    with pytest.raises(ImageBuildFailed, match=r"is for Python 3\.99, which was not found on this machine"):
        images.build(other)


def test_a_script_runs_in_the_framework_of_its_image(images: LocalImages) -> None:
    plain, script = (images.resolve("sagemaker-xgboost:1.7-1", script) for script in (False, True))
    assert (plain.kind, script.kind) == ("builtin", "framework")
    assert plain.environment != script.environment
    with pytest.raises(ImageNotOffered, match="runs no script"):
        images.resolve("xgboost:1", script=True)


@pytest.mark.parametrize(
    ("tag", "note"),
    [
        ("1.2-1-cpu-py3", "Framework version 1.2-1 is not offered; this runs on scikit-learn 1.7."),
        ("1.7-1", ""),
        ("1.0-1-arm64-cpu-py3", "Framework version 1.0-1 is not offered"),
        ("1.7-1-gpu-py3", "The image is for a GPU; it runs on the CPU here."),
    ],
)
def test_another_version_is_told(images: LocalImages, tag: str, note: str) -> None:
    image = images.resolve(f"sagemaker-scikit-learn:{tag}")
    assert image.algorithm == "scikit-learn"
    assert image.note.startswith(note) and bool(image.note) == bool(note)


@pytest.mark.parametrize(
    ("uri", "name", "lock", "note"),
    [
        (
            "pytorch-training:2.8.0-gpu-py312",
            "pytorch",
            "pytorch",
            "2.8.0 is not offered; this runs on PyTorch 2.13.0.",
        ),
        ("pytorch-inference:2.13.0-cpu-py312-ubuntu22.04-sagemaker", "pytorch", "pytorch", ""),
        ("pytorch:2.13-cu133-amzn2023-sagemaker", "pytorch", "pytorch", "The image is for a GPU; it runs on the CPU"),
        ("tensorflow-training:2.19.0-cpu-py312", "tensorflow", "tensorflow", "this runs on TensorFlow 2.21.0"),
        ("tensorflow-inference:2.16.1-cpu", "tensorflow", "tensorflow", "this runs on TensorFlow 2.21.0"),
        ("tensorflow-training:2.15.1-cpu-py310", "tensorflow", "tensorflow-2.15", ""),
        ("sagemaker-tensorflow-scriptmode:1.15.2-cpu-py3", "tensorflow", "tensorflow-2.15", "TensorFlow 2.15.1"),
        (
            "huggingface-pytorch-training:2.1.0-transformers4.36.0-gpu-py310-cu121-ubuntu20.04",
            *("huggingface", "huggingface", "4.36.0 is not offered; this runs on Hugging Face Transformers 5."),
        ),
        ("catboost:latest", "catboost", "catboost", ""),
        ("lightgbm", "lightgbm", "lightgbm", ""),
        ("lightgbm:3.3", "lightgbm", "lightgbm", "3.3 is not offered; this runs on LightGBM 4.7.0"),
    ],
)
def test_the_nearest_version_runs_and_the_note_says_which(uri: str, name: str, lock: str, note: str) -> None:
    meaning = catalogue.find(uri)
    assert (meaning.framework, meaning.name) == (True, name)
    assert note in meaning.note and bool(note) == bool(meaning.note)
    if sys.version_info < (3, 12):
        assert meaning.lock == lock


def test_what_this_python_has_no_wheels_of_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = (TENSORFLOW, TENSORFLOW_2_15)
    assert nearest(offered, "2.4.1") is (TENSORFLOW_2_15 if sys.version_info < (3, 12) else TENSORFLOW)
    monkeypatch.setattr(sys, "version_info", (3, 13, 0))
    assert nearest(offered, "2.4.1") is TENSORFLOW


@pytest.mark.timeout(150)
@pytest.mark.parametrize("sdk", ["sdk2", pytest.param("sdk3", marks=pytest.mark.slow)])
def test_every_uri_of_the_sdks_is_answered_knowingly(sdk: str) -> None:
    """Each one runs, or its refusal says what the image is and what to do: none is unknown."""
    uris = produced_by(sdk)
    assert len(uris) > 1000
    answers = {uri: answer(uri) for uri in uris}
    unknown = sorted({uri for uri, text in answers.items() if "is not known" in text or "no tag" in text})
    assert unknown == []
    runs = {uri.partition("/")[2].partition(":")[0] for uri, text in answers.items() if text.startswith("runs ")}
    assert {"xgboost", "sagemaker-xgboost", "sagemaker-scikit-learn"} <= runs
    assert {"pytorch-training", "pytorch-inference", "tensorflow-training", "tensorflow-inference"} <= runs
    assert all(": " in text and "Offered: " in text for text in answers.values() if not text.startswith("runs "))


def produced_by(sdk: str) -> list[str]:
    python = ROOT / ".venvs" / sdk / "bin" / "python"
    variables = {"AWS_DEFAULT_REGION": "us-west-2", "SAGEMAKER_SUPPRESS_V2_WARNING": "1", "HOME": os.environ["HOME"]}
    program = Path(__file__).with_name("every_uri.py")
    done = subprocess.run([python, program], env=variables, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if ".dkr.ecr" in line]


def answer(uri: str) -> str:
    try:
        meaning = catalogue.find(uri)
    except ImageNotOffered as refusal:
        return refusal.message
    return f"runs {meaning.name} in {meaning.lock}"
