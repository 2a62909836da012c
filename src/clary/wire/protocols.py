"""The protocols: a binding (where parameters are) and a codec (how documents are written), one pair for each.

`parse` reads what a client sent, `serialize` writes what an operation returned. What is derived from a model is
compiled on first use and kept with that model.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.model import OperationModel, ServiceModel, Shape, StructureShape

from clary.errors import ServiceError
from clary.wire import body_cbor, body_form, body_json, body_xml, eventstream, rest
from clary.wire.messages import Body, BytesBody, Request, Response
from clary.wire.models import Protocol
from clary.wire.router import Route, gunzip
from clary.wire.scalars import Malformed

BODY_LIMIT = 32 * 1024 * 1024  # bytes of a body that is read into memory
_XML_TYPE = "text/xml"
_NAMESPACE_S3 = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'

# The root elements of S3's answers, which botocore's models leave out: clients other than botocore check them.
_S3_ROOTS = {
    "CompleteMultipartUpload": "CompleteMultipartUploadResult",
    "CreateMultipartUpload": "InitiateMultipartUploadResult",
    "DeleteObjects": "DeleteResult",
    "GetBucketAccelerateConfiguration": "AccelerateConfiguration",
    "GetBucketAcl": "AccessControlPolicy",
    "GetBucketCors": "CORSConfiguration",
    "GetBucketLifecycle": "LifecycleConfiguration",
    "GetBucketLifecycleConfiguration": "LifecycleConfiguration",
    "GetBucketLogging": "BucketLoggingStatus",
    "GetBucketNotificationConfiguration": "NotificationConfiguration",
    "GetBucketRequestPayment": "RequestPaymentConfiguration",
    "GetBucketTagging": "Tagging",
    "GetBucketVersioning": "VersioningConfiguration",
    "GetBucketWebsite": "WebsiteConfiguration",
    "GetObjectAcl": "AccessControlPolicy",
    "GetObjectAttributes": "GetObjectAttributesResponse",
    "GetObjectTagging": "Tagging",
    "ListBuckets": "ListAllMyBucketsResult",
    "ListMultipartUploads": "ListMultipartUploadsResult",
    "ListObjectVersions": "ListVersionsResult",
    "ListObjects": "ListBucketResult",
    "ListObjectsV2": "ListBucketResult",
    "ListParts": "ListPartsResult",
}
_MALFORMED = {
    "json": "SerializationException",
    "rest-json": "SerializationException",
    "smithy-rpc-v2-cbor": "SerializationException",
    "rest-xml": "MalformedXML",
    "query": "MalformedInput",
}


@dataclass(slots=True)
class _Output:
    """How one output shape is written. `root` is an XML document's root tag with its namespace."""

    plan: rest.ResponsePlan
    write: Callable[[Any], Any] | None
    payload: Shape | None = None
    root: str = ""


class Engine:
    """One protocol over one service model. Safe to share between threads: plans are published when complete."""

    def __init__(self, model: ServiceModel, protocol: Protocol) -> None:
        self.model = model
        self.protocol = protocol
        self._lock = threading.Lock()
        self._inputs: dict[str, tuple[rest.RequestPlan, Callable[[Any], Any] | None]] = {}
        self._outputs: dict[str, _Output] = {}
        self._json: body_json.JsonCodec = (
            body_cbor.CborCodec() if protocol == "smithy-rpc-v2-cbor" else body_json.JsonCodec()
        )
        self._xml = body_xml.XmlCodec()
        self._form = body_form.FormCodec()

    def input(self, operation: OperationModel) -> tuple[rest.RequestPlan, Callable[[Any], Any] | None]:
        """The plan of the head, and the reader of the body's document (a form's tree, for query)."""
        found = self._inputs.get(operation.name)
        if found is None:
            with self._lock:
                found = self._inputs[operation.name] = self._input(operation.input_shape)
        return found

    def output(self, key: str, shape: StructureShape | None, operation: OperationModel | None = None) -> _Output:
        found = self._outputs.get(key)
        if found is None:
            with self._lock:
                found = self._outputs[key] = self._output(shape, operation)
        return found

    def _input(self, shape: StructureShape | None) -> tuple[rest.RequestPlan, Callable[[Any], Any] | None]:
        plan = rest.request_plan(shape) if self.protocol.startswith("rest") else rest.RequestPlan()
        target = shape.members[plan.payload] if shape and plan.payload else shape
        if target is None or (plan.payload and target.type_name in ("blob", "string")):
            return plan, None
        if self.protocol == "query":
            return plan, self._form.reader(target)
        codec = self._xml if self.protocol == "rest-xml" else self._json
        return plan, codec.reader(target)

    def _output(self, shape: StructureShape | None, operation: OperationModel | None) -> _Output:
        plan = rest.response_plan(shape if self.protocol.startswith("rest") else None)
        target = shape.members[plan.payload] if shape and plan.payload else shape
        if target is None or (plan.payload and target.type_name in ("blob", "string")):
            return _Output(plan, None, target)
        if target.serialization.get("eventstream"):
            return _Output(plan, None, target)
        if self.protocol not in ("rest-xml", "query"):
            return _Output(plan, self._json.writer(target), target)
        return _Output(plan, self._xml_document(target), target, self._root(plan, target, shape, operation))

    def _xml_document(self, shape: Shape) -> Callable[[Any], Any]:
        write = self._xml.writer(shape)

        def document(given: tuple[str, Any]) -> str:
            pieces: list[str] = []
            write(pieces, *given)
            return "".join(pieces)

        return document

    def _root(
        self, plan: rest.ResponsePlan, target: Shape, shape: Shape | None, operation: OperationModel | None
    ) -> str:
        s3 = self.model.metadata.get("serviceId") == "S3"
        if plan.payload:
            name = target.serialization.get("name") or (target.name if s3 else plan.payload)
        else:
            name = target.serialization.get("name") or (shape.name if shape else "")
        if s3 and operation and not plan.payload:
            name = _S3_ROOTS.get(operation.name, name)
        return name + (body_xml.namespace(target) or (_NAMESPACE_S3 if s3 else ""))


def engine(model: ServiceModel, protocol: Protocol) -> Engine:
    """The engine of a model, kept on the model itself: its plans refer to the model's shapes and live as long."""
    engines: dict[str, Engine] = vars(model).setdefault("_clary_engines", {})
    found = engines.get(protocol)
    return found if found is not None else engines.setdefault(protocol, Engine(model, protocol))


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
        raise ServiceError(_MALFORMED[route.protocol], str(error)) from None
    except RecursionError:
        raise ServiceError(_MALFORMED[route.protocol], "The request is nested too deeply") from None


def _parse(route: Route, request: Request, body: Body) -> dict[str, Any]:
    plan, read = engine(route.operation.service_model, route.protocol).input(route.operation)
    if route.protocol == "query":
        return _parse_form(route, read, body)
    if not route.protocol.startswith("rest"):
        data = _plain(route, request, _read_all(body))
        return _document(route.protocol, read, data) if data and read else {}
    values = plan.read(route.labels, route.query, request.headers)
    if plan.payload:
        _read_payload(route, plan.payload, read, body, values)
    else:
        data = _plain(route, request, _read_all(body))
        if plan.body and read and data:
            values = {**_document(route.protocol, read, data), **values}
    return values


def _parse_form(route: Route, read: Callable[[Any], Any] | None, body: Body) -> dict[str, Any]:
    _read_all(body)  # the form is known already, but at the end of a body it verifies itself
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
    data = _read_all(body)
    if not data and name not in inputs.required_members:
        return
    if shape.type_name == "blob":
        values[name] = data
    elif shape.type_name == "string":
        try:
            values[name] = data.decode()
        except UnicodeDecodeError:
            raise Malformed("The body is not UTF-8") from None
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


def _read_all(body: Body) -> bytes:
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
    protocol: Protocol, model: ServiceModel, output: _Output, result: Mapping[str, Any], request_id: str
) -> Response:
    document = output.write(result) if output.write else {}
    headers = [*rpc_headers(protocol, model), ("x-amzn-RequestId", request_id)]
    data = body_json.dumps(document) if protocol == "json" else body_cbor.dumps(document)
    return Response(200, headers, data)


def rpc_headers(protocol: Protocol, model: ServiceModel) -> list[tuple[str, str]]:
    """The headers that say how an RPC answer is written."""
    if protocol == "json":
        return [("Content-Type", f"application/x-amz-json-{model.metadata.get('jsonVersion', '1.0')}")]
    return [("Content-Type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor")]


def _query_response(operation: OperationModel, output: _Output, result: Mapping[str, Any], request_id: str) -> Response:
    namespace = body_xml.escape(operation.metadata.get("xmlNamespace", ""))
    inner = ""
    shape = operation.output_shape
    if output.write and shape:
        inner = output.write((shape.serialization.get("resultWrapper", f"{operation.name}Result"), result))
    name = operation.name
    declared = f' xmlns="{namespace}"' if namespace else ""
    document = (
        f"<{name}Response{declared}>{inner}"
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{name}Response>"
    )
    return Response(200, [("Content-Type", _XML_TYPE), ("x-amzn-RequestId", request_id)], document.encode())


def _rest_response(
    protocol: Protocol, operation: OperationModel, output: _Output, result: Mapping[str, Any], request_id: str
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
    protocol: Protocol, operation: OperationModel, output: _Output, result: Mapping[str, Any]
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
        document = f"<LocationConstraint{_NAMESPACE_S3}>{text}</LocationConstraint>"
    else:
        document = output.write((output.root, value))
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
