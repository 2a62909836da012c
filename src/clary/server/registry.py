"""The registry's way through the control plane, beside the pipeline of AWS's operations: who asks, what for, an answer.

It is at `/v2/`, which can be no bucket's name, for whoever brings no signature of AWS's; and behind each host that AWS
would give a registry (`012345678901.dkr.ecr.us-east-1.amazonaws.com`), whose account and region it then is. Behind any
other host the registry is the one of the caller's account, in the region where the token was asked for.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Generic, TypeVar

from clary.auth.gate import Admitted, Gate
from clary.context import Platform
from clary.errors import internal
from clary.registry import names
from clary.server.bodies import ClientGone, FrameBody
from clary.services.access.authority import Authority
from clary.services.ecr import tokens
from clary.services.ecr.distribution import errors, routes
from clary.services.ecr.distribution.asked import Asked
from clary.services.ecr.distribution.routes import Route
from clary.services.operation import Call
from clary.serving import request_ids
from clary.wire.messages import Request, Response
from clary.wire.router import Router, credential_scope

_LOG = logging.getLogger(__name__)

T = TypeVar("T")


class Registry(Generic[T]):
    """Answers the requests that are the registry's, and leaves all others to `otherwise`."""

    def __init__(
        self,
        platform: Platform,
        router: Router,
        gate: Gate,
        authority: Authority,
        otherwise: Callable[[Request], T],
    ) -> None:
        self._platform = platform
        self._router = router
        self._gate = gate
        self._authority = authority
        self._otherwise = otherwise
        self._read = functools.partial(tokens.read, platform.secrets)

    def __call__(self, request: Request) -> T | Response:
        if not self._is_asked(request):
            return self._otherwise(request)
        try:
            return self._answer(request)
        except ClientGone:
            raise  # nobody is there to be told
        except Exception as error:  # whatever it is, the client is told in the registry's form
            found = errors.known(error)
            if found is None:
                _LOG.exception("%s %s failed", request.method, request.path)
                found = internal()
            return errors.told(found, request.method == "HEAD")

    def _is_asked(self, request: Request) -> bool:
        if request.path != "/v2" and not request.path.startswith("/v2/"):
            return False
        return not credential_scope(request) and not self._router.bucket_of(request.host)

    def _answer(self, request: Request) -> Response:
        admitted = self._gate.admit_registry(request, self._read)
        if isinstance(request.body, FrameBody):
            request.body.sender_known()
        account, region = names.registry(request.host) or (admitted.principal.account, admitted.region)
        route = routes.find(request, account, region)
        call = self._call(admitted, route)
        if route.operation:
            name = {"repositoryName": route.place.repository} if route.name else {}
            self._authority.authorise(call, {"registryId": route.place.account, **name})
        return route.handle(Asked(call, route.place, route.name, route.reference, route.query))

    def _call(self, admitted: Admitted, route: Route) -> Call:
        principal, region = admitted.principal, route.place.region
        return Call(
            platform=self._platform,
            principal=principal,
            service="ecr",
            operation=route.operation,
            account=principal.account,
            region=region,
            request_id=request_ids.request_id(),
            request=admitted.request,
            body=admitted.request.body,
            caller=self._authority.caller(principal, admitted.request, region),
        )
