"""botocore's published protocol vectors, read backwards: we read what it must write and write what it must read.

The vectors lie in a mirror of boto/botocore under the folder that MIRRORS names.
"""

from __future__ import annotations

import base64
import copy
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import HeadersDict
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape
from botocore.parsers import ResponseParserError, create_parser

from clary.wire import scalars
from wire import vectors

MIRROR = Path(os.environ.get("MIRRORS", "")) / "boto+botocore" / "repo"
REVISION = "0e6e2404b"
FILES = (
    "json",
    "json_1_0",
    "json_1_0-query-compatible",
    "query",
    "rest-json",
    "rest-xml",
    "smithy-rpc-v2-cbor",
    "smithy-rpc-v2-cbor-non-query-compatible",
    "smithy-rpc-v2-cbor-query-compatible",
)
# What is not on the wire: bodies that the vectors leave out, tokens that the client fills in, empty collections that it
# leaves out, a path prefix of the endpoint, what a named member overrides, an empty document for an absent one.
NOT_ON_THE_WIRE = (
    "SDKAppliedContentEncoding",
    "SDKAppendsGzip",
    "SDKAppendedGzip",
    "IdempotencyTokenAutoFill",
    "QueryEmptyQueryMaps",
    "PrefixHeadersAreNotPresent",
    "OmitsEmptyListQueryValues",
    "HostWithPath",
    "QueryPrecedence",
    "QueryParamsStringListMap",
    "RestJsonHttpWithEmptyStructurePayload",
    "RestJsonHttpWithHeadersButNoPayload",
)
# A map of every header holds our request id too; a structure's own name hides the member's in botocore's parser, which
# reads no quoted items of a list header, and flattened lists under the name of their members, which two then share.
READ_OTHERWISE = (
    "HttpPrefixHeadersResponse",
    "BodyWithXmlName",
    "WithQuotedStringHeaders",
    "XmlLists",
)

pytestmark = pytest.mark.skipif(not (MIRROR / "HEAD").is_file(), reason="no mirror of boto/botocore under MIRRORS")


def cases(kind: str, protocol: str) -> Iterator[tuple[OperationModel, dict[str, Any]]]:
    show = ["git", f"--git-dir={MIRROR}", "show", f"{REVISION}:tests/unit/protocols/{kind}/{protocol}.json"]
    for suite in json.loads(subprocess.run(show, capture_output=True, check=True).stdout):
        for case in suite["cases"]:
            given = case["given"]
            operations = {"operations": {given["name"]: given}}
            service = ServiceModel({"metadata": suite["metadata"], "shapes": suite["shapes"], **operations})
            yield OperationModel(given, service, given["name"]), case


def plain(value: Any, shape: Shape | None) -> Any:
    """One form for values from either side."""
    if value is None or shape is None:
        return value
    if isinstance(shape, StructureShape) and not shape.metadata.get("document"):
        return {name: plain(item, shape.members[name]) for name, item in value.items() if item is not None}
    if isinstance(shape, MapShape):
        return {name: plain(item, shape.value) for name, item in value.items()}
    if isinstance(shape, ListShape):
        return [plain(item, shape.member) for item in value]
    return plain_scalar(value.read() if hasattr(value, "read") else value, shape.type_name)


def plain_scalar(value: Any, kind: str) -> Any:
    match kind:
        case "timestamp":
            return round(scalars.seconds(value), 3)
        case "blob":
            return value.encode() if isinstance(value, str) else bytes(value)
        case "float" | "double":
            return str(float(value))
    return value


@pytest.mark.parametrize("protocol", FILES)
def test_requests(protocol: str) -> None:
    checked = 0
    for operation, case in cases("input", protocol):
        if any(each in case["id"] for each in NOT_ON_THE_WIRE):
            continue
        model, wire = operation.service_model, case["serialized"]
        headers = dict(wire.get("headers") or {})
        if model.metadata["protocol"] == "json":
            headers.setdefault("X-Amz-Target", f"{model.metadata.get('targetPrefix', '')}.{operation.name}")
        body = (wire.get("body") or "").encode()
        name, params = vectors.parse(model, wire["method"], wire["uri"], headers, body)
        shape = operation.input_shape
        assert (case["id"], name, plain(params, shape)) == (case["id"], operation.name, plain(case["params"], shape))
        checked += 1
    assert checked


@pytest.mark.parametrize("protocol", FILES)
def test_responses(protocol: str) -> None:
    """botocore must read our answer as it reads the vector's own."""
    for operation, case in cases("output", protocol):
        response = case["response"]
        failed = "error" in case or response.get("status_code", 200) >= 300
        if failed or operation.has_event_stream_output or case["id"].endswith(READ_OTHERWISE):
            continue
        spoken, shape = operation.service_model.metadata["protocol"], operation.output_shape
        if spoken == "query" and shape and shape.members:
            shape.serialization["resultWrapper"] = f"{operation.name}Result"
        body = response.get("body") or ""
        body = base64.b64decode(body) if spoken == "smithy-rpc-v2-cbor" else body.encode()
        headers = response.get("headers") or {}
        try:
            want = read(operation, response.get("status_code", 200), headers, body)
        except (ResponseParserError, TypeError):
            continue  # botocore cannot read the vector's own
        got = read(operation, *vectors.serialize(operation, copy.deepcopy(case["result"])))
        assert (case["id"], got) == (case["id"], want)


def read(operation: OperationModel, status: int, headers: dict[str, str], body: bytes) -> Any:
    protocol = operation.service_model.metadata["protocol"]
    wire = {"status_code": status, "headers": HeadersDict(headers), "body": body}
    if protocol == "query" and not body:
        wire["body"] = b"<xml/>"
    parsed = create_parser(protocol).parse(wire, operation.output_shape)
    parsed.pop("ResponseMetadata", None)
    kept = {name: item for name, item in parsed.items() if item not in ([], {}, b"", None)}
    return plain(kept, operation.output_shape)
