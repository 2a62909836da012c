from __future__ import annotations

import pytest

from clary.testing.algorithm_conformance import Workbench
from image_environment import workbench


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    return workbench("xgboost", tmp_path_factory.mktemp("xgboost"))
