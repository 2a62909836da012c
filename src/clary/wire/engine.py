"""What is derived from a model for one protocol, compiled on first use and kept with that model."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.model import OperationModel, ServiceModel, Shape, StructureShape

from clary.wire import body_cbor, body_form, body_json, body_xml, rest
from clary.wire.models import Protocol

NAMESPACE_S3 = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'

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


@dataclass(slots=True)
class Output:
    """How one output shape is written."""

    plan: rest.ResponsePlan
    write: Callable[[Any], Any] | None
    payload: Shape | None = None


class Engine:
    """One protocol over one service model. Safe to share between threads: plans are published when complete."""

    def __init__(self, model: ServiceModel, protocol: Protocol) -> None:
        self.model = model
        self.protocol = protocol
        self._lock = threading.Lock()
        self._inputs: dict[str, tuple[rest.RequestPlan, Callable[[Any], Any] | None]] = {}
        self._outputs: dict[str, Output] = {}
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

    def output(self, key: str, shape: StructureShape | None, operation: OperationModel | None = None) -> Output:
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

    def _output(self, shape: StructureShape | None, operation: OperationModel | None) -> Output:
        plan = rest.response_plan(shape if self.protocol.startswith("rest") else None)
        target = shape.members[plan.payload] if shape and plan.payload else shape
        if target is None or (plan.payload and target.type_name in ("blob", "string")):
            return Output(plan, None, target)
        if target.serialization.get("eventstream"):
            return Output(plan, None, target)
        if self.protocol not in ("rest-xml", "query"):
            return Output(plan, self._json.writer(target), target)
        return Output(plan, self._xml_document(target, self._root(plan, target, shape, operation)), target)

    def _xml_document(self, shape: Shape, root: str) -> Callable[[Any], Any]:
        write = self._xml.writer(shape, root)

        def document(value: Any) -> str:
            pieces: list[str] = []
            write(pieces, value)
            return "".join(pieces)

        return document

    def _root(
        self, plan: rest.ResponsePlan, target: Shape, shape: Shape | None, operation: OperationModel | None
    ) -> str:
        """The tag of a document's root, with its namespace; of the query protocol, of what is in the answer's."""
        if self.protocol == "query":
            return str(target.serialization.get("resultWrapper", f"{operation.name}Result" if operation else ""))
        s3 = self.model.metadata.get("serviceId") == "S3"
        if plan.payload:
            name = target.serialization.get("name") or (target.name if s3 else plan.payload)
        else:
            name = target.serialization.get("name") or (shape.name if shape else "")
        if s3 and operation and not plan.payload:
            name = _S3_ROOTS.get(operation.name, name)
        return name + (body_xml.namespace(target) or (NAMESPACE_S3 if s3 else ""))


def engine(model: ServiceModel, protocol: Protocol) -> Engine:
    """The engine of a model, kept on the model itself: its plans refer to the model's shapes and live as long."""
    engines: dict[str, Engine] = vars(model).setdefault("_clary_engines", {})
    found = engines.get(protocol)
    return found if found is not None else engines.setdefault(protocol, Engine(model, protocol))
