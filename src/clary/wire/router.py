"""Which service, which operation, in which protocol: from a request's head, and a query request's body."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple
from urllib.parse import unquote

from botocore.model import OperationModel, OperationNotFoundError, ServiceModel

from clary.errors import ServiceError
from clary.wire import body_form
from clary.wire.messages import BytesBody, Request
from clary.wire.models import TRAITS, Models, Protocol
from clary.wire.paths import PathTable
from clary.wire.scalars import Malformed

FORM_LIMIT = 1024 * 1024  # bytes of a query request's body: it is read before the caller is known
_FORM = "application/x-www-form-urlencoded"
_RPC_PATH = re.compile(r"/service/([^/]+)/operation/([^/?]+)")
_AWS_HOST = re.compile(
    r"(?P<name>.+?)(?:\.dualstack)?(?:[.-](?P<region>[a-z]{2}(?:-[a-z]+)+-\d))?\.amazonaws\.com(?:\.cn)?"
)
_USUAL_HEADER = 1024  # characters of what is remembered
_HOST_LIMIT = 255  # characters that a name of the DNS may have
_S3_LABEL = re.compile(r"s3(?:-[a-z0-9-]+)?")
_LABEL = re.compile(r"[a-z0-9-]+")
_POSTED_TO = re.compile(r"/([a-z0-9.-]+)/?")
_RUNTIME = ("sagemaker-runtime", "sagemaker-featurestore-runtime", "sagemaker-metrics")


class RoutingError(ServiceError):
    """A request that means no operation; says how the answer has to be written."""

    def __init__(
        self,
        code: str,
        message: str,
        status: int,
        service: str,
        protocol: Protocol,
        members: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(code, message, status, members)
        self.service = service
        self.protocol = protocol


_NONE: Mapping[str, Any] = {}


class Route(NamedTuple):
    """What a request means. `request` replaces the one that came in (a query's body has been read into memory: hash
    and verify that one); `labels` are the decoded labels of a REST path, `query` the decoded query string, `form` the
    decoded pairs of a query request."""

    service: str
    operation: OperationModel
    protocol: Protocol
    request: Request
    labels: Mapping[str, str] = _NONE
    query: Mapping[str, list[str]] = _NONE
    form: tuple[tuple[str, str], ...] = ()

    @property
    def signing_scope(self) -> str:
        """The service name that a SigV4 credential scope must hold."""
        return TRAITS[self.service].scope

    @property
    def by_form(self) -> bool:
        """An upload by an HTML form: all but the bucket is said in the body, which has not been read, the proof too."""
        return self.request.method == "POST" and self.operation.name == "PutObject"

    @property
    def unproven(self) -> bool:
        """Whether it takes no signature, because its proof is in its parameters."""
        return self.operation.auth_type == "none" or self.operation.name in TRAITS[self.service].links


class _Head(NamedTuple):
    """A request with what several steps ask of it."""

    request: Request
    query: Mapping[str, list[str]]
    form: tuple[tuple[str, str], ...]

    def action(self, name: str) -> str:
        """`Action` or `Version` of a query request, from its form or its query string."""
        for key, value in self.form:
            if key == name:
                return value
        return self.query.get(name, [""])[0]

    @property
    def target(self) -> str:
        return self.request.headers.get("x-amz-target") or ""


class Router:
    """`s3_suffixes` are host names under which `BUCKET.<suffix>` addresses a bucket, besides AWS's own."""

    def __init__(self, models: Models, s3_suffixes: tuple[str, ...] = ("s3.localhost",)) -> None:
        self._models = models
        self._suffixes = tuple(suffix.lower() for suffix in s3_suffixes)
        self._tables: dict[str, PathTable] = {}
        self._known_bucket = lru_cache(maxsize=256)(self._bucket_in)
        self._by_target = {traits.target: name for name, traits in TRAITS.items() if traits.target}
        self._by_version = {traits.version: name for name, traits in TRAITS.items() if traits.version}
        self._by_link = {link: name for name, traits in TRAITS.items() for link in traits.links}
        self._by_host = {traits.host: name for name, traits in TRAITS.items()}

    def route(self, request: Request) -> Route:
        """Reads the head only, and for a form (the query protocol) up to FORM_LIMIT bytes of body, which the Route's
        `request` then carries in memory. Raises RoutingError, before anything is known about the caller."""
        try:
            return self._route(request)
        except Malformed as error:
            query = _is_form(request)
            code = "MalformedQueryString" if query else "InvalidURI"
            raise RoutingError(code, str(error), 400, "s3", "query" if query else "rest-xml") from None

    def _route(self, request: Request) -> Route:
        if len(request.host) > _HOST_LIMIT:
            message = f"The Host header names more than {_HOST_LIMIT} characters."
            raise RoutingError("InvalidHostHeader", message, 400, "s3", "rest-xml")
        query = _query(request)
        scope = credential_scope(request)
        form: tuple[tuple[str, str], ...] = ()
        if request.method == "POST" and _is_form(request) and self._may_be_query(scope, request.path):
            request, form = _read_form(request)
        head = _Head(request, query, form)
        service = self._service(head, scope)
        protocol = _protocol(head, service)
        operation, labels = self._operation(head, service, protocol)
        return Route(service, operation, protocol, request, labels, query, form)

    def _may_be_query(self, scope: str, path: str) -> bool:
        """An object or an invocation may have a form's content type too, and is not read here."""
        if not scope:
            return path == "/"
        return any(traits.scope == scope and "query" in traits.protocols for traits in TRAITS.values())

    def _service(self, head: _Head, scope: str) -> str:
        if scope == "sagemaker":
            return self._sagemaker(head)
        if scope == "s3":
            return _s3_or_control(head)
        if scope:
            for name, traits in TRAITS.items():
                if traits.scope == scope:
                    return name
            raise _unknown_service(head, scope)
        return self._unsigned(head)

    def _sagemaker(self, head: _Head) -> str:
        if head.target:
            return "sagemaker"
        for name in _RUNTIME:
            try:
                self._table(name).find(head.request.method, head.request.path, head.query, head.request.headers)
            except (LookupError, ServiceError):
                continue
            return name
        return "sagemaker"

    def _unsigned(self, head: _Head) -> str:
        """Without a signature: by target, version of a query, rpc path, host; else S3 (anonymous reads)."""
        prefix = head.target.partition(".")[0]
        if prefix in self._by_target:
            return self._by_target[prefix]
        if head.target:
            raise _unknown_service(head, prefix)
        if head.action("Action") and head.request.path == "/" and head.action("Version") in self._by_version:
            return self._by_version[head.action("Version")]
        if head.request.path == "/" and head.action("Action") in self._by_link:  # links name no version
            return self._by_link[head.action("Action")]
        rpc = _RPC_PATH.fullmatch(head.request.path)
        if rpc and "smithy-protocol" in head.request.headers and rpc[1] in self._by_target:
            return self._by_target[rpc[1]]
        host = _AWS_HOST.fullmatch(head.request.host)
        if host and host["name"] in self._by_host:
            named = self._by_host[host["name"]]
            return named if named not in ("s3", "s3control") else _s3_or_control(head)
        return _s3_or_control(head)

    def _operation(self, head: _Head, service: str, protocol: Protocol) -> tuple[OperationModel, dict[str, str]]:
        if protocol in ("rest-json", "rest-xml"):
            path = self._bucket_path(head.request) if service == "s3" else head.request.path
            posted_to = _POSTED_TO.fullmatch(path) if service == "s3" and head.request.method == "POST" else None
            if posted_to and not head.query:
                _check_form(head.request)
                return self._models.service(service).operation_model("PutObject"), {"Bucket": posted_to[1]}
            return _find_path(self._table(service), head, path, service, protocol)
        return _find_rpc(self._models.service(service), service, protocol, _rpc_name(head, protocol)), {}

    def _table(self, service: str) -> PathTable:
        if service not in self._tables:
            self._tables[service] = PathTable(self._models.service(service))
        return self._tables[service]

    def addressed(self, request: Request) -> tuple[str, str]:
        """The bucket and the key that an S3 request names, percent-encoded as they came; either may be empty."""
        _, bucket, key = f"{self._bucket_path(request)}//".split("/", 2)
        return bucket, key.rstrip("/")

    def _bucket_path(self, request: Request) -> str:
        """The path with the bucket in it, whichever way the request names it."""
        bucket = self.bucket_of(request.host)
        if bucket:
            return f"/{bucket}{request.path if request.path != '/' else ''}"
        if request.path.startswith("//"):
            raise RoutingError("InvalidBucketName", "The specified bucket is not valid.", 400, "s3", "rest-xml")
        return request.path

    def bucket_of(self, host: str) -> str:
        """The bucket that a virtual-host style name addresses, "" for another name."""
        return self._known_bucket(host) if len(host) <= _HOST_LIMIT else self._bucket_in(host)

    def _bucket_in(self, host: str) -> str:
        for suffix in self._suffixes:
            if host.endswith("." + suffix):
                return host[: -len(suffix) - 1]
        return _before_s3(host)


def _before_s3(host: str) -> str:
    """The bucket in one of AWS's names: what stands before the last label that means S3. A label at a time, because
    one expression for the whole name takes exponential time to refuse some."""
    name = host.removesuffix(".cn").removesuffix(".amazonaws.com")
    if host not in (f"{name}.amazonaws.com", f"{name}.amazonaws.com.cn"):
        return ""
    labels = name.split(".")
    while labels and _LABEL.fullmatch(labels[-1]):
        if _S3_LABEL.fullmatch(labels.pop()):
            return ".".join(labels)
    return ""


def credential_scope(request: Request) -> str:
    """The service in a SigV4 credential scope, "" when the request has none."""
    authorization = request.headers.get("authorization")
    if authorization:
        before = authorization.rpartition("Signature=")[0]  # with which a header ends, as all known signers write it
        known = _known_scope(before) if before and len(before) <= _USUAL_HEADER else ""
        return known or _scope_named(authorization) or ("s3" if authorization.startswith("AWS ") else "")
    if "X-Amz-Credential=" in request.query:
        credential = request.query.partition("X-Amz-Credential=")[2].partition("&")[0]
        return _known_scope_of(credential) if len(credential) <= _USUAL_HEADER else _scope_of(credential)
    return "s3" if "AWSAccessKeyId=" in request.query else ""


def _scope_of(credential: str) -> str:
    parts = unquote(credential).split("/")
    return parts[-2] if len(parts) >= 5 else ""


def _scope_named(authorization: str) -> str:
    """The part before `/aws4_request` in `Credential=KEY/DATE/REGION/SERVICE/aws4_request`."""
    for part in authorization.split(","):
        parts = part.partition("Credential=")[2].split("/")
        for service, end in pairwise(parts[2:]):
            if service and end.startswith("aws4_request"):
                return service
    return ""


# The same all day for one key; pure, so never stale.
_known_scope = lru_cache(maxsize=256)(_scope_named)
_known_scope_of = lru_cache(maxsize=256)(_scope_of)


def route_in(model: ServiceModel, service: str, protocol: Protocol, request: Request) -> Route:
    """The route of a request whose service and protocol are known already. Raises RoutingError, Malformed."""
    form: tuple[tuple[str, str], ...] = ()
    if protocol == "query":
        request, form = _read_form(request)
    head = _Head(request, _query(request), form)
    labels: dict[str, str] = {}
    if protocol in ("rest-json", "rest-xml"):
        operation, labels = _find_path(PathTable(model), head, request.path, service, protocol)
    else:
        operation = _find_rpc(model, service, protocol, _rpc_name(head, protocol))
    return Route(service, operation, protocol, request, labels, head.query, form)


def _check_form(request: Request) -> None:
    """Nothing but a form is posted to a bucket itself."""
    content = (request.headers.get("content-type") or "").lower()
    if not content.startswith("multipart/form-data"):
        message = "At least one of the pre-conditions you specified did not hold"
        condition = {"Condition": "Bucket POST must be of the enclosure-type multipart/form-data"}
        raise RoutingError("PreconditionFailed", message, 412, "s3", "rest-xml", condition)


def _find_path(
    table: PathTable, head: _Head, path: str, service: str, protocol: Protocol
) -> tuple[OperationModel, dict[str, str]]:
    try:
        return table.find(head.request.method, path, head.query, head.request.headers)
    except LookupError:
        raise _unknown_path(service, protocol) from None


def _find_rpc(model: ServiceModel, service: str, protocol: Protocol, name: str) -> OperationModel:
    try:
        return model.operation_model(name)
    except OperationNotFoundError:
        pass
    if protocol == "query":
        if not name:
            raise RoutingError("MissingAction", "Could not find an Action in the request.", 400, service, protocol)
        message = f"The action {name} is not valid for this web service."
        raise RoutingError("InvalidAction", message, 400, service, protocol)
    message = f"The operation {name!r} is unknown." if name else "The request names no operation (X-Amz-Target)."
    raise RoutingError("UnknownOperationException", message, 404, service, protocol)


def _rpc_name(head: _Head, protocol: Protocol) -> str:
    if protocol == "json":
        return head.target.rpartition(".")[2]
    if protocol == "query":
        return head.action("Action")
    found = _RPC_PATH.search(head.request.path)
    return found[2] if found else ""


def _protocol(head: _Head, service: str) -> Protocol:
    """A service may be spoken in several: what the request looks like decides."""
    spoken = TRAITS[service].protocols
    if len(spoken) == 1:
        return spoken[0]
    if head.target:
        return "json"
    return "smithy-rpc-v2-cbor" if _RPC_PATH.search(head.request.path) else "query"


def _s3_or_control(head: _Head) -> str:
    """Both sign as s3; s3control has a version in its path, and the account in a header or its host."""
    request = head.request
    if not request.path.startswith("/v20180820/"):
        return "s3"
    control = "x-amz-account-id" in request.headers or "s3-control." in request.host
    return "s3control" if control else "s3"


def _is_form(request: Request) -> bool:
    return (request.headers.get("content-type") or "").lower().startswith(_FORM)


def _query(request: Request) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    if request.query:
        for name, value in body_form.pairs(request.query):
            values.setdefault(name, []).append(value)
    return values


def _read_form(request: Request) -> tuple[Request, tuple[tuple[str, str], ...]]:
    pieces, size = [], 0
    while size <= FORM_LIMIT and (piece := request.body.read(FORM_LIMIT + 1 - size)):
        pieces.append(piece)
        size += len(piece)
    if size > FORM_LIMIT:
        message = f"The request's body is larger than {FORM_LIMIT} bytes."
        raise RoutingError("RequestEntityTooLarge", message, 413, "sts", "query")
    data = b"".join(pieces)
    request = replace(request, body=BytesBody(data))
    if (request.headers.get("content-encoding") or "").strip().lower() == "gzip":
        data = gunzip(data, FORM_LIMIT)
    return request, tuple(body_form.pairs(data.decode("latin-1")))


def gunzip(data: bytes, limit: int) -> bytes:
    """Raises Malformed when it is not gzip, or longer than `limit` when unpacked."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        plain = unpacker.decompress(data, limit)
    except zlib.error:
        raise Malformed("The request body is not valid gzip") from None
    if not unpacker.eof:
        raise Malformed("The request body is cut short, or too large when unpacked")
    return plain


def _unknown_service(head: _Head, name: str) -> RoutingError:
    form = _is_form(head.request) or head.action("Action")  # a form that is not ours has not been read
    protocol: Protocol = "json" if head.target else "query" if form else "rest-json"
    message = f"The service {name!r} is not built in Clary. docs/reference/compatibility.md lists what is."
    return RoutingError("NotImplemented", message, 501, name, protocol)


def _unknown_path(service: str, protocol: Protocol) -> RoutingError:
    if protocol == "rest-xml":
        message = "The specified method is not allowed against this resource."
        return RoutingError("MethodNotAllowed", message, 405, service, protocol)
    return RoutingError("UnknownOperationException", "The path means no operation.", 404, service, protocol)
