"""InvokeEndpoint: from a signed request to the model server's answer, in callbacks from end to end.

A request whose key and route are known takes no task, no future and no lock: check the signature, pick an instance,
write to one of its connections, and write its answer to the client. Only what must be asked for first is awaited.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from clary.auth.claims import Claim
from clary.auth.principals import Credential
from clary.errors import ServiceError, internal
from clary.serving import model_errors
from clary.serving.attempt import Attempt
from clary.serving.counters import Counters
from clary.serving.directory import PERMIT_HEADERS, Directory, EndpointKey, Route, UnavailableError
from clary.serving.fleet import EndpointFleet, Place
from clary.serving.signature import Signatures
from clary.wire.messages import RequestHead

log = logging.getLogger(__name__)

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*")
_TARGET_VARIANT = "x-amzn-sagemaker-target-variant"
_NOT_BUILT = (
    "x-amzn-sagemaker-target-container-hostname",
    "x-amzn-sagemaker-inference-component",
    "x-amzn-sagemaker-enable-explanations",
    "x-amzn-sagemaker-prefix-aware-id",
)
_SPECIAL = frozenset((_TARGET_VARIANT, *_NOT_BUILT))
_KEPT_FLEETS = 4096
_AWAY = "The service is temporarily unable to handle the request. Please try again."


class Call(Protocol):
    """A client's request, its body in memory.

    `answer` is called once: status, header lines (each with its CRLF), body. It is harmless after the client has gone.
    """

    @property
    def head(self) -> RequestHead: ...

    @property
    def content(self) -> bytes: ...

    @property
    def source(self) -> tuple[str, str]:
        """The scheme, "http" or "https", and the client's address."""
        ...

    def answer(self, status: int, lines: bytes, body: bytes) -> None: ...


class Gateway:
    """Serves invocations of the endpoints that `directory` knows. Belongs to one event loop.

    `limit` bounds request and response bodies, in bytes.
    """

    def __init__(self, directory: Directory, signatures: Signatures, limit: int) -> None:
        self.limit = limit
        self._directory = directory
        self._signatures = signatures
        self._fleets: OrderedDict[EndpointKey, EndpointFleet] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def invoke(self, call: Call, endpoint: str) -> None:
        """Answers the call, now or later, whatever happens."""
        try:
            claim = self._signatures.claim(call.head)
            credential = self._directory.fresh_credential(claim.access_key)
            if credential is not None:
                key = (credential.principal.account, claim.region, endpoint)
                route = self._directory.fresh_route(key)
                permit = self._directory.fresh_permit((claim.access_key, claim.region, endpoint, *call.source))
                if route is not None and permit is not None and not permit.particular:
                    self._signatures.prove(claim, call.head, call.content, credential)
                    if permit.refusal:
                        raise model_errors.denied(permit.refusal)
                    self._forward(call, key, route)
                    return
        except ServiceError as error:
            refuse(call, error)
            return
        task = asyncio.get_running_loop().create_task(self._ask_and_invoke(call, endpoint, claim))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def counters(self) -> Iterator[tuple[str, str, str, str, Counters]]:
        """(account, region, endpoint, variant, counters) of each variant that was called."""
        for (account, region, endpoint), fleet in self._fleets.items():
            for name, variant in fleet.variants.items():
                yield account, region, endpoint, name, variant.counters

    def close(self) -> None:
        for fleet in self._fleets.values():
            fleet.update(Route(fleet.route.arn, ()))
        for task in self._tasks:
            task.cancel()

    async def _ask_and_invoke(self, call: Call, endpoint: str, claim: Claim) -> None:
        try:
            credential = await self._credential(call, claim)
            key = (credential.principal.account, claim.region, endpoint)
            self._check_name(endpoint)
            await self._permitted(claim, call, endpoint)
            self._forward(call, key, await self._route(key))
        except ServiceError as error:
            refuse(call, error)
        except UnavailableError:
            refuse(call, model_errors.unavailable(_AWAY))
        except Exception:
            log.exception("invoking endpoint %s", endpoint)
            refuse(call, internal())

    async def _credential(self, call: Call, claim: Claim) -> Credential:
        """The proven one."""
        credential = await self._directory.credential(claim.access_key)
        if credential is None:
            raise self._signatures.unknown(claim)
        self._signatures.prove(claim, call.head, call.content, credential)
        return credential

    @staticmethod
    def _check_name(endpoint: str) -> None:
        if len(endpoint) > 63 or not _NAME.fullmatch(endpoint):
            raise model_errors.bad_endpoint_name(endpoint)

    async def _permitted(self, claim: Claim, call: Call, endpoint: str) -> None:
        key = (claim.access_key, claim.region, endpoint, *call.source)
        permit = await self._directory.permit(key)
        if permit is not None and permit.particular:
            fields = call.head.fields
            headers = [(name, fields[name][0]) for name in PERMIT_HEADERS if name in fields]
            permit = await self._directory.particular_permit(key, headers)
        if permit is None:  # the key has just been deleted
            raise self._signatures.unknown(claim)
        if permit.refusal:
            raise model_errors.denied(permit.refusal)

    async def _route(self, key: EndpointKey) -> Route:
        account, _, endpoint = key
        route = await self._directory.route(key)
        if route is None:
            raise model_errors.endpoint_not_found(endpoint, account)
        return route

    def _forward(self, call: Call, key: EndpointKey, route: Route) -> None:
        fields = call.head.fields
        name = None if _SPECIAL.isdisjoint(fields) else _wanted_variant(fields)
        variant = self._fleet(key, route).choose(name)
        if variant is None:
            account, _, endpoint = key
            raise model_errors.variant_not_found(name or "", endpoint, account)
        Attempt(call, variant).begin()

    def _fleet(self, key: EndpointKey, route: Route) -> EndpointFleet:
        fleet = self._fleets.get(key)
        if fleet is None:
            fleet = self._fleets[key] = EndpointFleet(Place(*key, self.limit), route)
            if len(self._fleets) > _KEPT_FLEETS:
                _, oldest = self._fleets.popitem(last=False)
                oldest.update(Route(oldest.route.arn, ()))
        elif fleet.route is not route:
            fleet.update(route)
            self._fleets.move_to_end(key)
        return fleet


def _wanted_variant(fields: Mapping[str, Sequence[str]]) -> str | None:
    """The variant that the request asks for. Raises ServiceError for what is not built."""
    for header in _NOT_BUILT:
        if header in fields:
            raise model_errors.not_built(header)
    return fields[_TARGET_VARIANT][0]


def refuse(call: Call, error: ServiceError) -> None:
    """Answers the call with the error."""
    lines, body = model_errors.render(error)
    call.answer(error.status, lines, body)
