"""Whatever arrives, the answer is an error of the protocol: nothing but ServiceError comes out."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from clary.errors import ServiceError
from clary.wire import body_cbor, protocols
from clary.wire.messages import BytesBody, Headers, Request
from clary.wire.models import Models
from clary.wire.router import Route, Router
from clary.wire.stream import ChunkedReader
from thorough import examples

ROUTER = Router(Models())
JSON = "application/x-amz-json-1.1"


def a_request(scope: str, target: str = "/", action: str = "", body: bytes = b"", method: str = "POST") -> Request:
    credential = f"AWS4-HMAC-SHA256 Credential=A/20260101/r/{scope}/aws4_request, SignedHeaders=host, Signature=0"
    headers = [("Authorization", credential), ("x-amz-account-id", "1")]
    if action:
        headers.append(("X-Amz-Target", action))
    if scope == "sts":
        headers.append(("Content-Type", "application/x-www-form-urlencoded"))
    return Request(method, target, Headers(headers), BytesBody(body))


ROUTES = {
    "json": a_request("sagemaker", action="SageMaker.CreateTrainingJob"),
    "cbor": a_request("monitoring", "/service/GraniteServiceVersion20100801/operation/PutMetricData"),
    "xml": a_request("s3", "/b?delete"),
    "xml attributes": a_request("s3", "/b/k?acl", method="PUT"),
    "rest-json": a_request("sagemaker", "/BatchPutMetrics", method="PUT"),
    "query": a_request("sts", body=b"Action=AssumeRole"),
}


def parse(kind: str, body: bytes) -> None:
    try:
        request = ROUTES[kind]
        if kind == "query":
            protocols.parse(ROUTER.route(a_request("sts", body=b"Action=AssumeRole&" + body)))
        else:
            protocols.parse(ROUTER.route(request), body=body)
    except ServiceError as error:
        assert error.code


SEEDS = {
    "json": b'{"TrainingJobName":"a","HyperParameters":{"a":"1"},"Tags":[{"Key":"k","Value":null}],'
    b'"StoppingCondition":{"MaxRuntimeInSeconds":1e3}}',
    "cbor": body_cbor.dumps(
        {"Namespace": "n", "MetricData": [{"MetricName": "m", "Timestamp": body_cbor.Timestamp(1.5), "Value": 1.0}]}
    ),
    "xml": b'<?xml version="1.0"?><Delete xmlns="x"><Object><Key>a</Key></Object><Quiet>true</Quiet></Delete>',
    "xml attributes": b'<AccessControlPolicy><AccessControlList><Grant><Grantee xmlns:xsi="i" xsi:type="Group">'
    b"<URI>u</URI></Grantee></Grant></AccessControlList></AccessControlPolicy>",
    "rest-json": b'{"TrialComponentName":"t","MetricData":[{"MetricName":"m","Timestamp":1.5,"Value":2}]}',
    "query": b"RoleArn=a&Tags.member.1.Key=a&Tags.member.1.Value=%20&DurationSeconds=900",
}


@pytest.mark.parametrize("kind", ROUTES)
def test_mutations(kind: str) -> None:
    rng = random.Random(7)
    for _ in range(1500):
        data = bytearray(SEEDS[kind])
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(data))
            match rng.randrange(4):
                case 0:
                    data[at] = rng.randrange(256)
                case 1:
                    del data[at : at + rng.randint(1, 8)]
                case 2:
                    data[at:at] = data[at : at + 20] * rng.randint(1, 3)
                case _:
                    data[at:at] = rng.choice(
                        [b"null", b"1e999", b"[[", b"<a>", b"\xff", b"9" * 50, b".0.", b"{}", b"\xc1\xfb"]
                    )
            data = data or bytearray(b"x")
        parse(kind, bytes(data))


@settings(max_examples=examples(150), deadline=None)
@given(body=some.binary(max_size=200))
@pytest.mark.parametrize("kind", ROUTES)
def test_bytes(kind: str, body: bytes) -> None:
    parse(kind, body)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("json", b"[" * 200_000),
        ("json", b'{"a":' * 100_000),
        ("json", b'{"StoppingCondition":{"MaxRuntimeInSeconds":' + b"9" * 10_000 + b"}}"),
        ("json", b'{"TrainingJobName":"\\ud800"}'),
        ("json", b'{"TrainingJobName":"\xed\xa0\x80"}'),
        ("json", b'{"RoleArn":NaN}'),
        ("cbor", b"\x81" * 100_000),
        ("cbor", b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff"),
        ("cbor", b"\xc1\xfb\x7f\xf0\x00\x00\x00\x00\x00\x00"),
        ("xml", b"<a>" * 100_000),
        ("xml", b'<!DOCTYPE a [<!ENTITY b "bbb">]><Delete><Object><Key>&b;</Key></Object></Delete>'),
        ("xml", '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a><a/>'.encode("utf-16")),
        ("query", b"&".join(b"a=1" for _ in range(50_000))),
        ("query", b".".join(b"a" for _ in range(50_000)) + b"=1"),
        ("query", b"Tags.member.x.Key=1"),
    ],
    ids=range(15),
)
def test_hostile_documents_are_refused(kind: str, body: bytes) -> None:
    route: Route
    with pytest.raises(ServiceError) as caught:
        if kind == "query":
            route = ROUTER.route(a_request("sts", body=b"Action=AssumeRole&" + body))
            protocols.parse(route)
        else:
            route = ROUTER.route(ROUTES[kind])
            protocols.parse(route, body=body)
    assert caught.value.status == 400


@settings(max_examples=examples(300), deadline=None)
@given(
    path=some.text(some.characters(min_codepoint=33, max_codepoint=255), max_size=60),
    scope=some.sampled_from(["s3", "sagemaker", "monitoring", ""]),
)
def test_targets(path: str, scope: str) -> None:
    try:
        protocols.parse(ROUTER.route(a_request(scope, "/" + path, method="GET")))
    except ServiceError as error:
        assert error.code


def decoded(body: bytes) -> tuple[bytes, list[tuple[str, str]]]:
    reader, data = ChunkedReader(BytesBody(body)), b""
    while reader.header().size:
        while piece := reader.data(7):
            data += piece
    return data, reader.trailers()


def test_chunks_and_trailers() -> None:
    body = b"5;chunk-signature=ab\r\nhello\r\n10\r\n" + b"x" * 16 + b"\r\n0\r\nX-Amz-Checksum-Crc32: AAAA==\r\n\r\n"
    assert decoded(body) == (b"hello" + b"x" * 16, [("x-amz-checksum-crc32", "AAAA==")])
    assert ChunkedReader(BytesBody(body)).header().extensions == {"chunk-signature": "ab"}
    assert decoded(b"0\r\n\r\n") == (b"", [])
    assert decoded(b"1\r\na\r\n0\r\n") == (b"a", [])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"5\r\nhel",
        b"5\r\nhelloo\r\n0\r\n\r\n",
        b"zz\r\n",
        b"-1\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"1" * 20_000,
        b"0\r\n\r\nmore",
        b"0\r\nno colon\r\n\r\n",
    ],
)
def test_broken_chunks_are_refused(body: bytes) -> None:
    with pytest.raises(ServiceError) as caught:
        decoded(body)
    assert caught.value.code in ("IncompleteBody", "InvalidRequest")


@settings(max_examples=examples(300), deadline=None)
@given(some.binary(max_size=100))
def test_any_chunks(body: bytes) -> None:
    try:
        decoded(body)
    except ServiceError as error:
        assert error.code
