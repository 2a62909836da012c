"""botocore on the other side: what it sends we read, what we answer it reads, for the operations of every service."""

from __future__ import annotations

import io
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import create_request_object, prepare_request_dict
from botocore.model import OperationModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from clary.wire import protocols
from clary.wire.messages import BytesBody, Headers, Request
from clary.wire.models import SERVICES, TRAITS, Models
from clary.wire.router import Router
from wire.generate import Values

MODELS = Models()
ROUTER = Router(MODELS)
PAIRS = [(service, protocol) for service in SERVICES for protocol in TRAITS[service].protocols]
ROUNDS = 2
# Read by botocore outside of its parsers; of a deprecated shape that names two members alike.
READ_ELSEWHERE = {"GetBucketLocation", "GetBucketNotification"}
NOTHING = (b"", {}, [])  # a stream that was not sent
# These share method and path with the operation that replaced them, or differ by the host alone.
ANSWERED_AS = {
    "GetBucketLifecycle": "GetBucketLifecycleConfiguration",
    "GetBucketNotification": "GetBucketNotificationConfiguration",
    "PutBucketLifecycle": "PutBucketLifecycleConfiguration",
    "PutBucketNotification": "PutBucketNotificationConfiguration",
    "ListDirectoryBuckets": "ListBuckets",
}


def sent_by_botocore(service: str, protocol: str, operation: OperationModel, params: dict[str, Any]) -> Request:
    document = create_serializer(protocol, include_validation=False).serialize_to_request(params, operation)
    prepare_request_dict(document, endpoint_url="http://clary.test")
    prepared = create_request_object(document).prepare()
    scope = TRAITS[service].scope
    credential = f"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/{scope}/aws4_request, SignedHeaders=host"
    headers = [(name, value if isinstance(value, str) else value.decode()) for name, value in prepared.headers.items()]
    if service == "s3control" and "x-amz-account-id" not in prepared.headers:
        headers.append(("x-amz-account-id", "123456789012"))
    body = prepared.body or b""
    url = urlsplit(prepared.url)
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    return Request(
        prepared.method,
        target,
        Headers([*headers, ("Host", "clary.test"), ("Authorization", credential)]),
        BytesBody(body.encode() if isinstance(body, str) else bytes(body)),
    )


def full(value: Any) -> Any:
    """Without the empty structures, lists and maps, which a form cannot hold."""
    if isinstance(value, dict):
        inner = {name: full(item) for name, item in value.items()}
        return {name: item for name, item in inner.items() if item not in ({}, [])}
    if isinstance(value, list):
        return [item for item in map(full, value) if item not in ({}, [])]
    return value


def plain(value: Any) -> Any:
    if hasattr(value, "read"):
        return value.read()
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items() if name != "ResponseMetadata"}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


@pytest.mark.parametrize(("service", "protocol"), PAIRS)
def test_requests(service: str, protocol: str) -> None:
    model = MODELS.service(service)
    for at, name in enumerate(model.operation_names):
        operation = model.operation_model(name)
        for round_ in range(ROUNDS):
            params = Values(at * ROUNDS + round_).of(operation.input_shape) if operation.input_shape else {}
            params = full(params) if protocol == "query" else params
            request = sent_by_botocore(service, protocol, operation, params)
            route = ROUTER.route(request)
            assert (route.service, route.protocol) == (service, protocol), name
            assert route.operation.name == ANSWERED_AS.get(name, name)
            if name not in ANSWERED_AS:
                read = plain(protocols.parse(route))
                if "ContentLength" not in params:
                    read.pop("ContentLength", None)  # the client's HTTP layer says it
                assert {key: item for key, item in read.items() if key in params or item not in NOTHING} == params, name


@pytest.mark.parametrize(("service", "protocol"), PAIRS)
def test_responses(service: str, protocol: str) -> None:
    model = MODELS.service(service)
    parser = create_parser(protocol)
    for at, name in enumerate(model.operation_names):
        operation = model.operation_model(name)
        shape = operation.output_shape
        if shape is None or name in READ_ELSEWHERE or operation.has_event_stream_output:
            continue
        for round_ in range(ROUNDS):
            result = Values(at * ROUNDS + round_).of(shape)
            for member in [
                each for each in result if shape.members[each].serialization.get("location") == "statusCode"
            ]:
                result[member] = 200
            response = protocols.serialize(operation, result, "id", protocol)  # type: ignore[arg-type]
            body = io.BytesIO(response.body) if operation.has_streaming_output else response.body
            wire = {"status_code": response.status, "headers": dict(response.headers), "body": body}
            read = plain(parser.parse(wire, shape))
            assert {
                key: item for key, item in read.items() if key in result or item not in ({}, [], b"", "")
            } == result, name
