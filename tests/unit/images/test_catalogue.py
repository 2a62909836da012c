"""Image URIs mean algorithms by repository and tag."""

from __future__ import annotations

from pathlib import Path

import pytest

from clary.config import Settings
from clary.images.base import ImageNotOffered
from clary.images.local import LocalImages


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
        ("382416733822.dkr.ecr.us-east-1.amazonaws.com/kmeans:1", "is known but not built in Clary yet. Offered: "),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/team/mine:v1", "is not known to Clary, which runs built-in"),
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


def test_the_list_names_repositories_and_whether_they_are_ready(images: LocalImages) -> None:
    offers = {offer.repository: offer for offer in images.list()}
    assert offers.keys() == {"sagemaker-xgboost", "xgboost"}
    assert not offers["xgboost"].ready
