from __future__ import annotations

from collections.abc import Iterator

import pytest

from agent_world import World, world


@pytest.fixture(scope="module")
def here() -> Iterator[World]:
    with world() as made:
        yield made
