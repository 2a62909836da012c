"""Every registered algorithm passes the same checks."""

from __future__ import annotations

import pytest

from clary.algorithms import registry
from clary.algorithms.declaration import AlgorithmSpec
from clary.testing.algorithm_conformance import AlgorithmConformance, Workbench
from image_environment import workbench


@pytest.fixture(scope="module", params=registry.names())
def spec(request: pytest.FixtureRequest) -> AlgorithmSpec:
    return registry.spec(request.param)


@pytest.fixture(scope="module")
def bench(spec: AlgorithmSpec, tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    return workbench(spec.name, tmp_path_factory.mktemp(spec.name))


class TestEveryAlgorithm(AlgorithmConformance):
    """Run by pytest."""
