"""Errors on the wire, in the form of each protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.model import OperationModel, ServiceModel, StructureShape

from clary.errors import ServiceError
from clary.wire import body_cbor, body_json, body_xml
from clary.wire.engine import engine
from clary.wire.messages import Response
from clary.wire.models import Protocol
from clary.wire.protocols import rpc_headers

_NO_BODY = (204, 304)


def fault(
    error: ServiceError,
    protocol: Protocol,
    service: str,
    operation: OperationModel | None,
    request_id: str,
    resource: str = "",
) -> Response:
    """The response that says `error`. `operation` is None when routing failed; `resource` is the path S3 names.

    A shape that the model declares for the code gives the status and the way its members are written.
    """
    shape = _modelled(error.code, operation)
    declared = (shape.metadata.get("error") or {}) if shape else {}
    status = int(declared.get("httpStatusCode", error.status))
    if operation is not None and operation.http.get("method") == "HEAD":
        return Response(status, [*_ids(protocol, service, request_id), *_extra_headers(error)])
    match protocol:
        case "rest-xml":
            return _xml_fault(error, service, status, request_id, resource)
        case "query":
            code = declared.get("code", error.code)
            return _query_fault(error, code, status, operation, request_id)
    return _document_fault(error, protocol, shape, status, operation, request_id)


def _modelled(code: str, operation: OperationModel | None) -> StructureShape | None:
    """The error shape of that name or code, the operation's own first."""
    if operation is None:
        return None
    for shape in (*operation.error_shapes, *operation.service_model.error_shapes):
        if isinstance(shape, StructureShape) and code in (shape.name, (shape.metadata.get("error") or {}).get("code")):
            return shape
    return None


def _ids(protocol: Protocol, service: str, request_id: str) -> list[tuple[str, str]]:
    if service == "s3":
        return [("x-amz-request-id", request_id), ("x-amz-id-2", request_id)]
    return [("x-amz-request-id" if protocol == "rest-xml" else "x-amzn-RequestId", request_id)]


def _extra_headers(error: ServiceError) -> list[tuple[str, str]]:
    """S3 tells a bucket's region in a header too; HEAD has nothing else to tell it with. 304 tells the ETag."""
    region, etag = error.members.get("BucketRegion"), error.members.get("ETag")
    headers = [*error.headers.items(), *([("x-amz-bucket-region", str(region))] if region else [])]
    return [*headers, ("ETag", str(etag))] if etag and error.status == 304 else headers


def _document_fault(
    error: ServiceError,
    protocol: Protocol,
    shape: StructureShape | None,
    status: int,
    operation: OperationModel | None,
    request_id: str,
) -> Response:
    model = operation.service_model if operation is not None else None
    name = shape.name if shape else error.code
    headers = list(_content_type(protocol, model))
    headers += [("x-amzn-RequestId", request_id), ("x-amzn-ErrorType", name)]
    document: dict[str, Any] = {"__type": name}
    document.update(_members(error, protocol, shape, model, headers))
    document["message"] = error.message
    if shape and "Message" in shape.members:
        document["Message"] = error.message  # modelled so; typed clients look for that spelling alone
    if model is not None and "awsQueryCompatible" in model.metadata:
        code = ((shape.metadata.get("error") or {}).get("code") if shape else None) or error.code
        headers.append(("x-amzn-query-error", f"{code};{'Receiver' if status >= 500 else 'Sender'}"))
    data = body_cbor.dumps(document) if protocol == "smithy-rpc-v2-cbor" else body_json.dumps(document)
    return Response(status, headers, data)


def _content_type(protocol: Protocol, model: ServiceModel | None) -> list[tuple[str, str]]:
    if protocol == "rest-json":
        return [("Content-Type", "application/json")]
    if model is None:
        kind = "application/cbor" if protocol == "smithy-rpc-v2-cbor" else "application/x-amz-json-1.1"
        return [("Content-Type", kind)] + ([("smithy-protocol", "rpc-v2-cbor")] if kind == "application/cbor" else [])
    return rpc_headers(protocol, model)


def _members(
    error: ServiceError,
    protocol: Protocol,
    shape: StructureShape | None,
    model: ServiceModel | None,
    headers: list[tuple[str, str]],
) -> Mapping[str, Any]:
    if not error.members:
        return {}
    if shape is None or model is None:
        return error.members
    output = engine(model, protocol).output(f"error {shape.name}", shape)
    headers += output.plan.head(error.members)
    bound = {name for name, _, _ in output.plan.headers}
    rest = {name: value for name, value in error.members.items() if name not in bound}
    document: Mapping[str, Any] = output.write(rest) if output.write else rest
    return document


def _xml_fault(error: ServiceError, service: str, status: int, request_id: str, resource: str) -> Response:
    headers = [*_ids("rest-xml", service, request_id), *_extra_headers(error)]
    if status in _NO_BODY:
        return Response(status, headers)
    inner = _element("Code", error.code) + _element("Message", error.message)
    inner += "".join(_element(name, value) for name, value in error.members.items())
    if service == "s3":
        tail = _element("Resource", resource) + _element("RequestId", request_id) + _element("HostId", request_id)
        document = f"<Error>{inner}{tail}</Error>"
    else:
        document = f"<ErrorResponse><Error>{inner}</Error>{_element('RequestId', request_id)}</ErrorResponse>"
    headers.append(("Content-Type", "application/xml"))
    return Response(status, headers, _encoded(body_xml.DECLARATION + document))


def _query_fault(
    error: ServiceError, code: str, status: int, operation: OperationModel | None, request_id: str
) -> Response:
    namespace = operation.metadata.get("xmlNamespace", "") if operation is not None else ""
    declared = f' xmlns="{body_xml.escape(namespace)}"' if namespace else ""
    side = "Receiver" if status >= 500 else "Sender"
    inner = _element("Type", side) + _element("Code", code) + _element("Message", error.message)
    inner += "".join(_element(name, value) for name, value in error.members.items())
    tail = _element("RequestId", request_id)
    document = f"<ErrorResponse{declared}><Error>{inner}</Error>{tail}</ErrorResponse>"
    return Response(status, [("Content-Type", "text/xml"), ("x-amzn-RequestId", request_id)], _encoded(document))


def _encoded(document: str) -> bytes:
    """What no Unicode text can have (an error may quote it) is a question mark: an error is always told."""
    return document.encode(errors="replace")


def _element(name: str, value: object) -> str:
    return f"<{name}>{body_xml.legible(str(value))}</{name}>"
