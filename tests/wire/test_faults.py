"""Errors as botocore reads them, in every protocol."""

from __future__ import annotations

import json

import pytest
from botocore.awsrequest import HeadersDict
from botocore.model import OperationModel
from botocore.parsers import create_parser

from clary.errors import ServiceError
from clary.wire import body_cbor
from clary.wire.faults import fault
from clary.wire.messages import Response
from clary.wire.models import Models, Protocol

MODELS = Models()


def operation(service: str, name: str) -> OperationModel:
    return MODELS.service(service).operation_model(name)


def read(response: Response, protocol: str, about: OperationModel) -> dict[str, object]:
    wire = {"status_code": response.status, "headers": HeadersDict(response.headers), "body": response.body}
    parsed: dict[str, object] = create_parser(protocol).parse(wire, about.output_shape)
    return parsed


@pytest.mark.parametrize(
    ("service", "name", "protocol"),
    [
        ("sagemaker", "DescribeModel", "json"),
        ("sagemaker-runtime", "InvokeEndpoint", "rest-json"),
        ("s3", "GetObject", "rest-xml"),
        ("s3control", "GetPublicAccessBlock", "rest-xml"),
        ("sts", "AssumeRole", "query"),
        ("cloudwatch", "ListMetrics", "smithy-rpc-v2-cbor"),
        ("cloudwatch", "ListMetrics", "json"),
        ("cloudwatch", "ListMetrics", "query"),
    ],
)
def test_botocore_reads_code_message_status_and_request_id(service: str, name: str, protocol: Protocol) -> None:
    about = operation(service, name)
    error = ServiceError("SomeCode", "It <failed> & 'fell'", 418)
    got = read(fault(error, protocol, service, about, "id-1", "/b/k"), protocol, about)
    assert got["Error"]["Code"] == "SomeCode"  # type: ignore[index]
    assert got["Error"]["Message"] == "It <failed> & 'fell'"  # type: ignore[index]
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 418  # type: ignore[index]
    assert got["ResponseMetadata"]["RequestId"] == "id-1"  # type: ignore[index]


def test_a_modelled_error_has_its_own_status_and_members() -> None:
    about = operation("sagemaker-runtime", "InvokeEndpoint")
    error = ServiceError(
        "ModelError", "broke", 400, {"OriginalStatusCode": 500, "OriginalMessage": "x", "LogStreamArn": "a"}
    )
    response = fault(error, "rest-json", "sagemaker-runtime", about, "id")
    assert response.status == 424
    document = json.loads(bytes(response.body))  # type: ignore[arg-type]
    assert document["OriginalStatusCode"] == 500
    assert (document["Message"], document["message"]) == ("broke", "broke")
    assert ("x-amzn-ErrorType", "ModelError") in response.headers


def test_a_query_error_carries_the_wire_code_of_its_shape() -> None:
    about = operation("iam", "GetRole")
    response = fault(ServiceError("NoSuchEntityException", "m"), "query", "iam", about, "id")
    assert response.status == 404
    assert b"<Type>Sender</Type><Code>NoSuchEntity</Code>" in response.body  # type: ignore[operator]


def test_query_compatible_services_tell_the_older_code() -> None:
    about = operation("cloudwatch", "PutMetricAlarm")
    response = fault(ServiceError("LimitExceeded", "m"), "smithy-rpc-v2-cbor", "cloudwatch", about, "id")
    assert dict(response.headers)["x-amzn-query-error"] == "LimitExceeded;Sender"
    assert body_cbor.loads(bytes(response.body))["__type"] == "LimitExceededFault"  # type: ignore[arg-type]


def test_s3_names_resource_and_members() -> None:
    error = ServiceError("NoSuchKey", "The specified key does not exist.", 404, {"Key": "a\x01&"})
    body = fault(error, "rest-xml", "s3", operation("s3", "GetObject"), "id", "/b/a").body
    assert b"<Error><Code>NoSuchKey</Code>" in body  # type: ignore[operator]
    assert b"<Key>a\xef\xbf\xbd&amp;</Key><Resource>/b/a</Resource><RequestId>id</RequestId><HostId>" in body  # type: ignore[operator]


def test_an_answer_to_head_and_not_modified_have_no_body() -> None:
    assert (
        fault(ServiceError("404", "Not Found", 404), "rest-xml", "s3", operation("s3", "HeadObject"), "id").body == b""
    )
    not_modified = ServiceError("304", "Not Modified", 304)
    assert fault(not_modified, "rest-xml", "s3", operation("s3", "GetObject"), "id").body == b""


def test_without_an_operation() -> None:
    response = fault(ServiceError("UnknownOperationException", "m", 404), "json", "sagemaker", None, "id")
    assert json.loads(bytes(response.body)) == {"__type": "UnknownOperationException", "message": "m"}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("service", "name", "protocol"),
    [
        ("sagemaker", "DescribeModel", "json"),
        ("s3", "GetObject", "rest-xml"),
        ("sts", "AssumeRole", "query"),
        ("cloudwatch", "ListMetrics", "smithy-rpc-v2-cbor"),
    ],
)
def test_what_no_text_can_have_is_told_all_the_same(service: str, name: str, protocol: Protocol) -> None:
    error = ServiceError("SomeCode", "half a \ud800", 400, {"Key": "\udfff"})
    response = fault(error, protocol, service, operation(service, name), "id")
    assert response.status == 400 and b"SomeCode" in bytes(response.body)  # type: ignore[arg-type]
