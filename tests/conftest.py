"""The whole server, once for all tests that only need to talk to it, and its clients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest

from whole_server import Done, WholeServer, whole_server

# A machine that is busy with the other tests is no error of the code under test.
hypothesis.settings.register_profile("clary", deadline=None)
hypothesis.settings.load_profile("clary")


@pytest.fixture(scope="session")
def server() -> Iterator[WholeServer]:
    """A real `clary up`. Ended at the end of the run, when nothing of it may be left."""
    with whole_server() as made:
        yield made


@pytest.fixture
def aws(server: WholeServer) -> Callable[..., Any]:
    """aws("s3") -> a boto3 client with the root key; options: kind="resource", https=True, root=False, config=..."""
    return server.client


@pytest.fixture
def aws_resource(server: WholeServer) -> Callable[..., Any]:
    return lambda service, **options: server.client(service, kind="resource", **options)


@pytest.fixture
def run_client(server: WholeServer) -> Callable[..., Done]:
    """run_client("sdk2", "python", "story.py"): a program of .venvs/<name> through `clary run`."""
    return server.run_client
