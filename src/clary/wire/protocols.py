"""The protocols: a binding (where parameters are) and a codec (how documents are written), one pair for each.

`parse` reads what a client sent, `serialize` writes what an operation returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from botocore.model import OperationModel, ServiceModel, StructureShape

from clary.errors import ServiceError
from clary.wire import body_cbor, body_form, body_json, body_xml, eventstream
from clary.wire.engine import NAMESPACE_S3, Output, engine
from clary.wire.messages import Body, BytesBody, Request, Response
from clary.wire.models import Protocol
from clary.wire.router import Route, gunzip
from clary.wire.scalars import Malformed, MalformedArgument

BODY_LIMIT = 32 * 1024 * 1024  # bytes of a body that is read into memory
_XML_TYPE = "text/xml"

_MALFORMED = {
    "json": "SerializationException",
    "rest-json": "SerializationException",
    "smithy-rpc-v2-cbor": "SerializationException",
    "rest-xml": "MalformedXML",
    "query": "MalformedInput",
}


def parse(route: Route, request: Request | None = None, body: Body | bytes | None = None) -> dict[str, Any]:
    """The parameters as botocore's caller gave them: blobs bytes, timestamps aware datetimes, None left out; a
    streaming blob is the body itself. `request` (default: the route's) gives head and body; `body` replaces its body.

    Raises ServiceError in the protocol's terms when the request is malformed or its body too large; errors of a
    verifying body pass through.
    """
    request = request or route.request
    source = request.body if body is None else BytesBody(body) if isinstance(body, bytes) else body
    try:
        return _parse(route, request, source)
    except Malformed as error:
        raise _malformed(route.protocol, error) from None
    except RecursionError:
        raise ServiceError(_MALFORMED[route.protocol], "The request is nested too deeply") from None


def _malformed(protocol: str, error: Malformed) -> ServiceError:
    if protocol == "rest-xml" and isinstance(error, MalformedArgument):
        members = {"ArgumentName": error.name, "ArgumentValue": error.value}
        message = f"Provided {error.name} is not valid: {error}"
        return ServiceError("InvalidArgument", message, 400, members)
    return ServiceError(_MALFORMED[protocol], str(error))


def _parse(route: Route, request: Request, body: Body) -> dict[str, Any]:
    plan, read = engine(route.operation.service_model, route.protocol).input(route.operation)
    if route.protocol == "query":
        return _parse_form(route, read, body)
    if not route.protocol.startswith("rest"):
        data = _plain(route, request, read_document(body))
        return _document(route.protocol, read, data) if data and read else {}
    values = plan.read(route.labels, route.query, request.headers)
    if plan.payload:
        _read_payload(route, plan.payload, read, body, values)
    else:
        data = _plain(route, request, read_document(body))
        if plan.body and read and data:
            values = {**_document(route.protocol, read, data), **values}
    return values


def _parse_form(route: Route, read: Callable[[Any], Any] | None, body: Body) -> dict[str, Any]:
    read_document(body)  # the form is known already, but at the end of a body it verifies itself
    pairs = list(route.form)
    pairs += [(name, text) for name, texts in route.query.items() for text in texts[:1]]
    parameters: dict[str, Any] = read(body_form.tree(pairs)) if read else {}
    return parameters


def _read_payload(
    route: Route, name: str, read: Callable[[Any], Any] | None, body: Body, values: dict[str, Any]
) -> None:
    inputs = route.operation.input_shape
    if inputs is None:
        return
    shape = inputs.members[name]
    if shape.serialization.get("streaming"):
        values[name] = body
        return
    data = read_document(body)
    if not data and name not in inputs.required_members:
        return
    if shape.type_name == "blob":
        values[name] = data
    elif shape.type_name == "string":
        try:
            values[name] = data.decode()
        except UnicodeDecodeError:
            raise Malformed("The body is not UTF-8") from None
    elif not data and route.protocol == "rest-xml":
        raise ServiceError("MissingRequestBodyError", "Request Body is empty", 400)
    elif data and read:
        values[name] = _document(route.protocol, read, data)


def _plain(route: Route, request: Request, data: bytes) -> bytes:
    """The body as it was before the client compressed it, where the operation allows that."""
    encoding = (request.headers.get("content-encoding") or "").rpartition(",")[2].strip().lower()
    if encoding != "gzip" or not route.operation.request_compression:
        return data
    return gunzip(data, BODY_LIMIT)


def _document(protocol: str, read: Callable[[Any], Any], data: bytes) -> dict[str, Any]:
    if protocol == "rest-xml":
        value = read(body_xml.loads(data))
    elif protocol == "smithy-rpc-v2-cbor":
        value = read(body_cbor.loads(data))
    else:
        value = read(body_json.loads(data))
    return value  # type: ignore[no-any-return]


def read_document(body: Body) -> bytes:
    """A body that is no stream, whole. Raises ServiceError when it is too large, and what its proof raises."""
    if body.length is not None and body.length > BODY_LIMIT:
        raise _too_large()
    pieces, size = [], 0
    while piece := body.read(1024 * 1024):
        pieces.append(piece)
        size += len(piece)
        if size > BODY_LIMIT:
            raise _too_large()
    return b"".join(pieces)


def _too_large() -> ServiceError:
    return ServiceError("RequestEntityTooLarge", f"The request's body is larger than {BODY_LIMIT} bytes.", 413)


def serialize(
    operation: OperationModel, result: Mapping[str, Any], request_id: str, protocol: Protocol | None = None
) -> Response:
    """An operation's result as the response to its request. Timestamps may be datetimes, epoch seconds or ISO text; a
    streaming member bytes or an iterator of pieces; an event stream an iterable of one-member dicts, as botocore
    yields them. None and members that the output shape lacks are left out; a status that depends
    on the result (206) stands, as botocore shows it, in `ResponseMetadata`. `protocol` None means the model's first."""
    model = operation.service_model
    chosen: Protocol = protocol or model.metadata["protocol"]
    output = engine(model, chosen).output(operation.name, operation.output_shape, operation)
    match chosen:
        case "json" | "smithy-rpc-v2-cbor":
            return _rpc_response(chosen, model, output, result, request_id)
        case "query":
            return _query_response(operation, output, result, request_id)
    return _rest_response(chosen, operation, output, result, request_id)


def _rpc_response(
    protocol: Protocol, model: ServiceModel, output: Output, result: Mapping[str, Any], request_id: str
) -> Response:
    headers = [*rpc_headers(protocol, model), ("x-amzn-RequestId", request_id)]
    if protocol == "json" and type(result) is body_json.Written:  # to ask an abstract class costs more
        return Response(200, headers, result.text.encode())
    document = output.write(dict(result)) if output.write else {}
    data = body_json.dumps(document) if protocol == "json" else body_cbor.dumps(document)
    return Response(200, headers, data)


def rpc_headers(protocol: Protocol, model: ServiceModel) -> list[tuple[str, str]]:
    """The headers that say how an RPC answer is written."""
    if protocol == "json":
        return [("Content-Type", f"application/x-amz-json-{model.metadata.get('jsonVersion', '1.0')}")]
    return [("Content-Type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor")]


def _query_response(operation: OperationModel, output: Output, result: Mapping[str, Any], request_id: str) -> Response:
    namespace = body_xml.escape(operation.metadata.get("xmlNamespace", ""))
    inner = ""
    shape = operation.output_shape
    if output.write and shape:
        inner = output.write(result)
    name = operation.name
    declared = f' xmlns="{namespace}"' if namespace else ""
    document = (
        f"<{name}Response{declared}>{inner}"
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{name}Response>"
    )
    return Response(200, [("Content-Type", _XML_TYPE), ("x-amzn-RequestId", request_id)], document.encode())


def _rest_response(
    protocol: Protocol, operation: OperationModel, output: Output, result: Mapping[str, Any], request_id: str
) -> Response:
    plan = output.plan
    status = int(operation.http.get("responseCode", 200))
    if plan.status and result.get(plan.status) is not None:
        status = int(result[plan.status])
    status = int((result.get("ResponseMetadata") or {}).get("HTTPStatusCode", status))
    headers = plan.head(result)
    body, kind = _rest_body(protocol, operation, output, result)
    if kind and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", kind))
    headers.append(("x-amz-request-id" if protocol == "rest-xml" else "x-amzn-RequestId", request_id))
    return Response(status, headers, body)


def _rest_body(
    protocol: Protocol, operation: OperationModel, output: Output, result: Mapping[str, Any]
) -> tuple[bytes | Iterator[bytes], str]:
    """The body and its content type."""
    plan = output.plan
    value = result.get(plan.payload) if plan.payload else result
    stream = output.payload
    if isinstance(stream, StructureShape) and stream.serialization.get("eventstream"):
        events: Any = value or ()
        return eventstream.messages(stream, events), "application/vnd.amazon.eventstream"
    if output.write is None:
        return _raw(value if plan.payload else None), ""
    if protocol == "rest-json":
        if plan.payload and value is None:
            return b"", ""
        return body_json.dumps(output.write(value)), "application/json"
    if value is None or not (plan.payload or plan.body):
        return b"", ""
    if operation.name == "GetBucketLocation":
        # The one answer whose root is the value itself.
        text = body_xml.escape(str(result.get("LocationConstraint") or ""))
        document = f"<LocationConstraint{NAMESPACE_S3}>{text}</LocationConstraint>"
    else:
        document = output.write(value)
    return (body_xml.DECLARATION + document).encode(), "application/xml"


def _raw(value: Any) -> bytes | Iterator[bytes]:
    if value is None:
        return b""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    pieces: Iterable[bytes] = value
    return iter(pieces)
