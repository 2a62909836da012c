"""A request's way through the control plane: what it means, who asks, what it does, how it is told."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from typing import TypeVar

from clary.auth.gate import Admitted, Gate
from clary.auth.principals import ANONYMOUS
from clary.context import Platform
from clary.errors import ServiceError, internal, not_built
from clary.server.bodies import ClientGone, FrameBody
from clary.server.exchange import Hold
from clary.services.access.authority import Authority
from clary.services.operation import Call, Handler, Operations, Result
from clary.services.s3 import form_upload
from clary.services.s3.cors import CrossOrigin
from clary.services.waiting import Wait, Waiting
from clary.serving import request_ids
from clary.wire import faults, protocols
from clary.wire.messages import Body, BytesBody, Request, Response
from clary.wire.router import Route, Router, RoutingError
from clary.wire.validate import validate

_LOG = logging.getLogger(__name__)
_VALIDATION = "ValidationException"

T = TypeVar("T")


class Pipeline:
    """`tables` holds the operations by service; `validation_codes` the code of a service that does not call a broken
    constraint ValidationException ("" for a service that checks its parameters itself); `waiting` says which answers
    are held back; `origins` answers browsers; `authority` decides who may do what."""

    def __init__(
        self,
        platform: Platform,
        router: Router,
        gate: Gate,
        tables: Mapping[str, Operations],
        validation_codes: Mapping[str, str],
        waiting: Waiting,
        origins: CrossOrigin,
        authority: Authority,
    ) -> None:
        self._platform = platform
        self._router = router
        self._gate = gate
        self._tables = tables
        self._codes = validation_codes
        self._waiting = waiting
        self._origins = origins
        self._authority = authority

    def __call__(self, request: Request) -> Response | Hold:
        request_id = request_ids.request_id()
        try:
            if request.method == "OPTIONS":  # of no operation: only browsers ask so, and only of buckets
                return self._origins.preflight(request, *self._router.addressed(request))
            route = self._router.route(request)
        except RoutingError as error:
            return faults.fault(error, error.protocol, error.service, None, request_id, request.path)
        except ServiceError as error:  # a key that cannot be one, a preflight refused: only S3 has either
            return faults.fault(error, "rest-xml", "s3", None, request_id, request.path)
        answer = self._told(route, request_id, lambda: self._perform(route, request_id))
        if "origin" in request.headers and route.service == "s3" and isinstance(answer, Response):
            return self._told(route, request_id, lambda: self._marked(route, answer))
        return answer

    def _marked(self, route: Route, answer: Response) -> Response:
        answer.headers += self._origins.headers(route.request, route.labels.get("Bucket", ""))
        return answer

    def _told(self, route: Route, request_id: str, work: Callable[[], T]) -> T | Response:
        """What `work` returns; what it raises as the client is told of it."""
        try:
            return work()
        except ServiceError as error:
            return self._fault(error, route, request_id)
        except ClientGone:
            raise  # nobody is there to be told
        except Exception:
            _LOG.exception("%s %s failed (request %s)", route.service, route.operation.name, request_id)
            return self._fault(internal(), route, request_id)

    def _perform(self, route: Route, request_id: str) -> Response | Hold:
        operations = self._tables.get(route.service)
        handler = operations.find(route.operation.name) if operations else None
        if handler is None and route.unproven:  # it brings no proof that could be asked for
            raise not_built(route.service, route.operation.name)
        if route.by_form and handler is not None:
            return self._uploaded(route, request_id, handler)
        admitted = self._admit(route)
        _introduce(route, admitted)
        if handler is None:
            if admitted.principal == ANONYMOUS:
                raise ServiceError("AccessDenied", "Access Denied", 403)
            why = operations.reasons.get(route.operation.name, "") if operations else ""
            raise not_built(route.service, route.operation.name, why)
        streaming = route.operation.has_streaming_input
        body = admitted.request.body if streaming else BytesBody(protocols.read_document(admitted.request.body))
        given = protocols.parse(route, admitted.request, body)
        self._validate(route, given)
        call = self._call(route, admitted, request_id, body)
        document = self._authority.perform(call, given, handler)
        wait = self._waiting.consider(call, document)
        if wait is not None:
            return self._hold(route, wait, call, lambda: handler(call, given))
        return protocols.serialize(route.operation, document, request_id, route.protocol)

    def _uploaded(self, route: Route, request_id: str, handler: Handler) -> Response:
        form = form_upload.opened(route.request)
        admitted = self._gate.admit_form(route.request, form, route.labels["Bucket"])
        _introduce(route, admitted)
        meant = form_upload.meant(route, admitted.request, form.fields)
        given = protocols.parse(meant)
        self._validate(meant, given)
        call = self._call(meant, admitted._replace(request=meant.request), request_id, meant.request.body)
        document = self._authority.perform(call, given, handler)
        response = protocols.serialize(meant.operation, document, request_id, meant.protocol)
        return form_upload.answer(route, form.fields, response)

    def _hold(self, route: Route, wait: Wait, call: Call, describe: Callable[[], Result]) -> Hold:
        """The caller is authorised and its request valid; what it is told is looked up afresh when it is told."""

        def tell(document: Result) -> Response:
            self._waiting.answered(wait)
            return protocols.serialize(route.operation, document, call.request_id, route.protocol)

        def look() -> Response | None:
            document = describe()
            return tell(document) if wait.over(document) else None

        told = functools.partial(self._told, route, call.request_id)
        return Hold(wait.arn, wait.owner, wait.seconds, lambda: told(look), lambda: told(lambda: tell(describe())))

    def _admit(self, route: Route) -> Admitted:
        bucket = self._router.bucket_of(route.request.host) if route.service == "s3" else ""
        return self._gate.admit(route.request, route.signing_scope, route.protocol, bucket, route.unproven)

    def _call(self, route: Route, admitted: Admitted, request_id: str, body: Body) -> Call:
        if isinstance(body, BytesBody):  # parsed, and there once more for who checks its checksums
            body.rewind()
        principal, region = admitted.principal, admitted.region or self._platform.settings.region
        return Call(
            platform=self._platform,
            principal=principal,
            service=route.service,
            operation=route.operation.name,
            account=principal.account,
            region=region,
            request_id=request_id,
            request=admitted.request,
            body=body,
            caller=self._authority.caller(principal, admitted.request, region),
        )

    def _validate(self, route: Route, given: dict[str, object]) -> None:
        code = self._codes.get(route.service, _VALIDATION)
        if not code:
            return
        try:
            validate(route.operation.input_shape, given)
        except ServiceError as error:
            raise ServiceError(code, error.message, error.status) from None

    @staticmethod
    def _fault(error: ServiceError, route: Route, request_id: str) -> Response:
        path = route.request.path
        return faults.fault(error, route.protocol, route.service, route.operation, request_id, path)


def _introduce(route: Route, admitted: Admitted) -> None:
    """For who is known a thread may wait."""
    body = route.request.body
    if isinstance(body, FrameBody) and admitted.principal != ANONYMOUS:
        body.sender_known()
