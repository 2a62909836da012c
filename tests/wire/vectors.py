"""The wire layer in the form that a harness of protocol vectors asks for: two functions over any service model."""

from __future__ import annotations

import base64
from typing import Any

from botocore.model import OperationModel, ServiceModel

from clary.wire import protocols
from clary.wire.messages import BytesBody, Headers, Request
from clary.wire.router import route_in


def parse(
    service: ServiceModel, method: str, uri: str, headers: dict[str, str], body: bytes, params: Any = None
) -> tuple[str, dict[str, Any]]:
    if service.metadata["protocol"] == "smithy-rpc-v2-cbor":
        body = base64.b64decode(body)  # as the vectors hold it
    request = Request(method, uri, Headers(list(headers.items())), BytesBody(body))
    route = route_in(service, "vectors", service.metadata["protocol"], request)
    return route.operation.name, protocols.parse(route)


def serialize(operation: OperationModel, result: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    response = protocols.serialize(operation, result, "00000000-0000-4000-8000-000000000000")
    body = response.body if isinstance(response.body, bytes) else b"".join(response.body)
    return response.status, dict(response.headers), body
