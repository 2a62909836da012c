"""Models are botocore's own, without the texts for people."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel

from clary.wire.models import Models


def plain(given: Any) -> Any:
    if isinstance(given, dict):
        return {name: plain(given[name]) for name in given if name != "documentation" or isinstance(given[name], dict)}
    return [plain(each) for each in given] if isinstance(given, list) else given


@pytest.mark.parametrize("name", ["s3", "sts", "kms"])
def test_nothing_else_is_missing(name: str) -> None:
    theirs = Loader().load_service_model(name, "service-2")
    ours = Models().service(name)
    assert plain(ours._service_description) == plain(theirs)
    errors = {shape.name for shape in ours.error_shapes}
    assert errors == {shape.name for shape in ServiceModel(theirs).error_shapes}
    assert errors
