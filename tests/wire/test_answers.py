"""Answers whose form the models alone do not give: event streams, S3's documents, streams, dates."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
from botocore.eventstream import EventStream
from botocore.model import OperationModel
from botocore.parsers import EventStreamJSONParser

from clary.wire import protocols
from clary.wire.body_json import Written
from clary.wire.messages import Response
from clary.wire.models import Models

MODELS = Models()


def operation(service: str, name: str) -> OperationModel:
    return MODELS.service(service).operation_model(name)


def body(response: Response) -> bytes:
    assert isinstance(response.body, bytes)
    return response.body


class Source(io.BytesIO):
    def stream(self) -> list[bytes]:
        return [self.getvalue()[:10], self.getvalue()[10:]]


def test_a_result_that_is_written_already_goes_out_as_it_is() -> None:
    about = operation("sagemaker", "ListModels")
    models = [{"ModelName": "m", "ModelArn": "arn:m", "CreationTime": 1.5}]
    written = Written(json.dumps({"Models": models, "NextToken": "t"}, separators=(",", ":")))
    assert (written["Models"], len(written), list(written)) == (models, 2, ["Models", "NextToken"])
    for protocol in ("json", "smithy-rpc-v2-cbor"):
        plain = protocols.serialize(about, {"Models": models, "NextToken": "t"}, "id", protocol)
        assert protocols.serialize(about, written, "id", protocol) == plain


def test_an_event_stream_as_botocore_reads_it() -> None:
    about = operation("sagemaker-runtime", "InvokeEndpointWithResponseStream")
    events = [{"PayloadPart": {"Bytes": b"a\xff"}}, {"PayloadPart": {"Bytes": b"b"}}]
    response = protocols.serialize(about, {"Body": iter(events), "ContentType": "text/csv"}, "id")
    headers = dict(response.headers)
    assert (headers["Content-Type"], headers["X-Amzn-SageMaker-Content-Type"]) == (
        "application/vnd.amazon.eventstream",
        "text/csv",
    )
    shape = about.output_shape.members["Body"]
    stream = EventStream(Source(b"".join(response.body)), shape, EventStreamJSONParser(), about.name)  # type: ignore[arg-type]
    assert list(stream) == events


def test_a_modelled_exception_ends_an_event_stream() -> None:
    about = operation("sagemaker-runtime", "InvokeEndpointWithResponseStream")
    failure = {"ModelStreamError": {"Message": "broke", "ErrorCode": "StreamBroken"}}
    response = protocols.serialize(about, {"Body": [failure, {"PayloadPart": {"Bytes": b"late"}}]}, "id")
    data = b"".join(response.body)  # type: ignore[arg-type]
    assert b"exception" in data
    assert b"StreamBroken" in data
    assert b"late" not in data


@pytest.mark.parametrize(("region", "text"), [("eu-west-1", ">eu-west-1<"), (None, "><")])
def test_a_buckets_location_is_the_root_itself(region: str | None, text: str) -> None:
    response = protocols.serialize(operation("s3", "GetBucketLocation"), {"LocationConstraint": region}, "id")
    root = '<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
    assert root + text + "/LocationConstraint>" in body(response).decode()


@pytest.mark.parametrize(
    ("name", "result", "root"),
    [
        ("ListBuckets", {"Buckets": []}, "ListAllMyBucketsResult"),
        ("ListObjectsV2", {"Name": "b"}, "ListBucketResult"),
        ("CreateMultipartUpload", {"UploadId": "u"}, "InitiateMultipartUploadResult"),
        ("CopyObject", {"CopyObjectResult": {"ETag": "e"}}, "CopyObjectResult"),
        ("UploadPartCopy", {"CopyPartResult": {"ETag": "e"}}, "CopyPartResult"),
        ("DeleteObjects", {"Deleted": []}, "DeleteResult"),
    ],
)
def test_roots_of_s3_documents(name: str, result: dict[str, object], root: str) -> None:
    text = body(protocols.serialize(operation("s3", name), result, "id")).decode()
    assert f'<{root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">' in text


def test_an_object_goes_out_piece_by_piece_with_its_headers() -> None:
    pieces = iter([b"a", b"b"])
    result = {"Body": pieces, "ContentLength": 2, "LastModified": 0.5, "Metadata": {"k": "ü"}, "ETag": '"e"'}
    response = protocols.serialize(operation("s3", "GetObject"), result, "id")
    headers = dict(response.headers)
    assert next(response.body) == b"a"  # type: ignore[arg-type]
    assert headers["Content-Length"] == "2"
    assert headers["Last-Modified"] == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert headers["x-amz-meta-k"].encode("latin-1").decode() == "ü"
    assert "Content-Type" not in headers


def test_a_header_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="line break"):
        protocols.serialize(operation("s3", "GetObject"), {"ETag": "a\r\nb: c"}, "id")


def test_statuses_are_those_of_the_models() -> None:
    assert protocols.serialize(operation("s3", "DeleteObject"), {}, "id").status == 204
    assert body(protocols.serialize(operation("s3", "PutObject"), {"ETag": "e"}, "id")) == b""
    assert protocols.serialize(operation("sagemaker-runtime", "InvokeEndpointAsync"), {}, "id").status == 202


def test_times_are_epoch_seconds_with_milliseconds() -> None:
    result = {"ModelName": "m", "CreationTime": 1700000000.12345, "Unknown": 1, "DeploymentRecommendation": None}
    response = protocols.serialize(operation("sagemaker", "DescribeModel"), result, "id")
    assert body(response) == b'{"ModelName":"m","CreationTime":1700000000.123}'


@pytest.mark.parametrize("text", ["a\ufffeb", "\uffff", "\ud800", "\udfff<&", "\U0001fffe\ufffd"])
@pytest.mark.parametrize(
    ("service", "name", "result", "path"),
    [
        ("sns", "ListTopics", lambda text: {"Topics": [{"TopicArn": text}]}, ".//{*}TopicArn"),
        ("sns", "GetTopicAttributes", lambda text: {"Attributes": {text: "v"}}, ".//{*}key"),
        ("s3", "ListObjectsV2", lambda text: {"Contents": [{"Key": text}]}, ".//{*}Key"),
    ],
)
def test_what_xml_cannot_hold_does_not_spoil_the_rest(
    text: str, service: str, name: str, result: Callable[[str], Any], path: str
) -> None:
    written = body(protocols.serialize(operation(service, name), result(text), "id"))
    found = fromstring(written).findtext(path)
    assert found == re.sub("[\ud800-\udfff\ufffe\uffff]", "\ufffd", text)
