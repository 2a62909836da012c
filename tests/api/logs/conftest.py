"""CloudWatch Logs alone behind a real port, without the gate, over every kind of database; tests move its clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
from botocore.config import Config

from api.port import port
from clary.auth.policy import Caller
from clary.auth.principals import Principal
from clary.config import Settings
from clary.context import Platform, Stores
from clary.errors import ServiceError
from clary.services.logs import OPERATIONS, VALIDATION_CODE
from clary.services.operation import Call
from clary.store import schema
from clary.wire import faults, protocols
from clary.wire.messages import BytesBody, Request, Response
from clary.wire.models import Models
from clary.wire.router import Router
from clary.wire.validate import validate
from databases import open_database

ACCOUNT, REGION = "123456789012", "us-east-1"


class Clock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.at = 1_700_000_000.5

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def platform(tmp_path: Path, clock: Clock, database_urls: Callable[[], str]) -> Iterator[Platform]:
    database = open_database(database_urls(), tmp_path, schema.LOGS)
    absent = cast(Any, None)
    settings = Settings.load({}, home=tmp_path)
    yield Platform(settings, clock, Stores(absent, absent, database), absent, absent, absent, lambda: None, absent)
    database.close()


@pytest.fixture(scope="session")
def router() -> Router:
    return Router(Models())


@pytest.fixture(scope="session")
def session() -> boto3.Session:
    """One for all tests: it keeps the parsed service models."""
    return boto3.Session("AKIAEXAMPLE", "secret", region_name=REGION)


def answer(platform: Platform, router: Router, request: Request) -> Response:
    route = router.route(request)
    body = BytesBody(request.body.read())
    principal = Principal("root", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT)
    try:
        given = protocols.parse(route, request, body)
        try:
            validate(route.operation.input_shape, given)
        except ServiceError as error:
            raise ServiceError(VALIDATION_CODE, error.message) from error
        handler = OPERATIONS.find(route.operation.name)
        assert handler is not None
        who = Caller(principal)
        call = Call(platform, principal, "logs", route.operation.name, ACCOUNT, REGION, "r", request, body, who)
        return protocols.serialize(route.operation, handler(call, given), "r", route.protocol)
    except ServiceError as error:
        return faults.fault(error, route.protocol, route.service, route.operation, "r")


@pytest.fixture
def aws(platform: Platform, router: Router, session: boto3.Session) -> Iterator[Callable[[str], Any]]:
    config = Config(retries={"max_attempts": 0}, parameter_validation=False)
    with port(lambda request: answer(platform, router, request)) as url, ExitStack() as clients:

        def client(name: str) -> Any:
            made = session.client(name, endpoint_url=url, config=config)
            clients.callback(made.close)
            return made

        yield client
