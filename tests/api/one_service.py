"""A service alone, without the gate: its operations, with the wire in front of them."""

from __future__ import annotations

from collections.abc import Mapping

import boto3
import pytest

from clary.auth.policy import Caller
from clary.auth.principals import Principal
from clary.context import Platform
from clary.errors import ServiceError
from clary.services.operation import Call, Document, Operations
from clary.wire import faults, protocols
from clary.wire.messages import BytesBody, Request, Response
from clary.wire.models import Models
from clary.wire.router import Route, Router
from clary.wire.validate import validate

ACCOUNT, REGION = "123456789012", "us-east-1"


@pytest.fixture(scope="session")
def router() -> Router:
    return Router(Models())


@pytest.fixture(scope="session")
def session() -> boto3.Session:
    """One for all tests: it keeps the parsed service models."""
    return boto3.Session(ACCOUNT, "secret", region_name=REGION)


def root_of(account: str) -> Caller:
    return Caller(Principal("root", account, f"arn:aws:iam::{account}:root", account))


class OneService:
    """`operations` of `service`, whose name for what validation refuses is `code` ("" for ValidationException)."""

    def __init__(
        self, platform: Platform, router: Router, service: str, operations: Operations, code: str = ""
    ) -> None:
        self._platform = platform
        self._router = router
        self._service = service
        self._operations = operations
        self._code = code

    def answer(self, request: Request, callers: Mapping[str, Caller] = {}) -> Response:
        """The credential scope says who asks and where: the root of "<12 digits>", or one of `callers`."""
        route = self._router.route(request)
        body = BytesBody(request.body.read())
        scope = (request.headers.get("authorization") or "").partition("Credential=")[2].split("/")
        caller, name = callers.get(scope[0]) or root_of(scope[0]), route.operation.name
        who = caller.principal
        try:
            given = protocols.parse(route, request, body)
            self._check(route, given)
            handler = self._operations.find(name)
            assert handler is not None, name
            call = Call(self._platform, who, self._service, name, who.account, scope[2], "r", request, body, caller)
            return protocols.serialize(route.operation, handler(call, given), "r", route.protocol)
        except ServiceError as error:
            return faults.fault(error, route.protocol, route.service, route.operation, "r")

    def _check(self, route: Route, given: Document) -> None:
        try:
            validate(route.operation.input_shape, given)
        except ServiceError as error:
            raise ServiceError(self._code or error.code, error.message) from error
