"""boto3 clients over real HTTP against the real wire and operations; jobs run in FakeCompute, stepped by the tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from api.port import port
from clary.errors import ServiceError
from clary.wire import faults, protocols
from clary.wire.messages import BytesBody, Request, Response
from clary.wire.models import Models
from clary.wire.router import Router
from clary.wire.validate import validate
from sagemaker_bench import ACCOUNT, REGION, Bench


def answer(bench: Bench, router: Router, request: Request) -> Response:
    route = router.route(request)
    try:
        given = protocols.parse(route, request, BytesBody(request.body.read()))
        validate(route.operation.input_shape, given)
        result = bench.call(route.operation.name, ACCOUNT, REGION, **given)
        return protocols.serialize(route.operation, result, "r-1", route.protocol)
    except ServiceError as error:
        return faults.fault(error, route.protocol, route.service, route.operation, "r-1")


@pytest.fixture
def bench(tmp_path: Path, database_urls: Callable[[], str]) -> Iterator[Bench]:
    made = Bench(tmp_path / "home", database_url=database_urls())
    yield made
    made.close()


@pytest.fixture(scope="session")
def session() -> boto3.Session:
    """One for all tests: it keeps the parsed service models."""
    return boto3.Session("AKIAEXAMPLE", "secret", region_name=REGION)


@pytest.fixture(scope="session")
def router() -> Router:
    return Router(Models())


@pytest.fixture
def aws(bench: Bench, session: boto3.Session, router: Router) -> Iterator[Callable[[str], Any]]:
    config = Config(retries={"max_attempts": 0})
    with port(lambda request: answer(bench, router, request)) as url, ExitStack() as clients:

        def client(name: str) -> Any:
            made = session.client(name, endpoint_url=url, config=config)
            clients.callback(made.close)
            return made

        yield client
