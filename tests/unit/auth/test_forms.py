"""Uploads by HTML forms at the gate: a signed policy, and what of a form it lets pass."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import pytest

from clary.auth import sigv4
from clary.auth.gate import Admitted, Gate
from clary.errors import ServiceError
from clary.wire.messages import BytesBody, Headers, Request
from clary.wire.multipart import Form
from unit.auth.conftest import NOW, ROOT, SECRET, Time

STAMP = "20150830T123600Z"
SCOPE = "20150830/us-east-1/s3/aws4_request"
TOKEN = "the/session+token=="
BASIC = [{"bucket": "b"}, ["starts-with", "$key", "user/"]]


def policy(conditions: list[Any], expiration: str = "2015-08-30T13:00:00Z") -> str:
    return encoded(json.dumps({"expiration": expiration, "conditions": conditions}))


def encoded(document: str) -> str:
    return base64.b64encode(document.encode()).decode()


def newer(document: str, key: str = "AKIDEXAMPLE") -> dict[str, str]:
    signing = sigv4.derive(SECRET, *SCOPE.split("/")[:3])
    return {
        "policy": document,
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-credential": f"{key}/{SCOPE}",
        "x-amz-date": STAMP,
        "x-amz-signature": hmac.new(signing, document.encode(), hashlib.sha256).hexdigest(),
    }


def older(document: str, key: str = "AKIDEXAMPLE") -> dict[str, str]:
    signature = base64.b64encode(hmac.digest(SECRET.encode(), document.encode(), "sha1")).decode()
    return {"policy": document, "awsaccesskeyid": key, "signature": signature}


SIGNERS = {"newer": newer, "older": older}
# What newer forms have besides, and a policy has to speak of.
SIGNED = [[("starts-with"), f"$x-amz-{name}", ""] for name in ("algorithm", "credential", "date", "security-token")]


def admit(gate: Gate, fields: Mapping[str, str], body: bytes = b"data", **head: Any) -> Admitted:
    request = Request("POST", head.get("target", "/b"), Headers(head.get("headers", ())))
    return gate.admit_form(request, Form({"key": "user/k", **fields}, "", BytesBody(body)), "b")


def told(gate: Gate, fields: Mapping[str, str], body: bytes = b"data", **head: Any) -> str:
    """The code and the message of the refusal."""
    with pytest.raises(ServiceError) as refused:
        admit(gate, fields, body, **head).request.body.read()
    return f"{refused.value.code} {refused.value.status}: {refused.value.message}"


@pytest.fixture(params=SIGNERS)
def sign(request: pytest.FixtureRequest) -> Any:
    return SIGNERS[request.param]


def test_whoever_signed_the_policy_is_who_asks(gate: Gate, sign: Any) -> None:
    admitted = admit(gate, sign(policy(BASIC + SIGNED)))
    assert (admitted.principal, admitted.request.body.read()) == (ROOT, b"data")


def test_a_session_brings_its_token(gate: Gate, sign: Any, time: Time) -> None:
    fields = sign(policy(BASIC + SIGNED), "ASIDEXAMPLE")
    assert told(gate, fields).startswith("InvalidToken")
    assert told(gate, {**fields, "x-amz-security-token": "another"}).startswith("InvalidToken")
    assert admit(gate, {**fields, "x-amz-security-token": TOKEN}).principal == ROOT
    time.at = NOW + 601
    assert told(gate, {**fields, "x-amz-security-token": TOKEN}).startswith("ExpiredToken")


def test_any_other_signature_is_refused(gate: Gate, sign: Any) -> None:
    good = sign(policy(BASIC + SIGNED))
    name = "x-amz-signature" if sign is newer else "signature"
    for at in range(len(good[name])):
        other = "A" if good[name][at] != "A" else "B"
        assert "SignatureDoesNotMatch" in told(gate, {**good, name: good[name][:at] + other + good[name][at + 1 :]})
    assert "SignatureDoesNotMatch" in told(gate, {**good, "policy": policy([*BASIC, *SIGNED, ["eq", "$acl", ""]])})
    assert "SignatureDoesNotMatch" in told(gate, {**good, name: "ü"})


def test_an_unknown_key(gate: Gate, sign: Any) -> None:
    assert told(gate, sign(policy(BASIC + SIGNED), "AKIDNOBODY")).startswith("InvalidAccessKeyId 403")


def test_each_part_of_a_proof_is_needed(gate: Gate, sign: Any) -> None:
    good = sign(policy(BASIC + SIGNED))
    for name in good:
        left = {field: value for field, value in good.items() if field != name}
        assert told(gate, left).startswith("InvalidArgument 400: Bucket POST must contain a field named"), name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-amz-algorithm", "AWS4-HMAC-SHA1"),
        ("x-amz-date", "2015-08-30"),
        ("x-amz-date", "20150831T123600Z"),
        ("x-amz-credential", "AKIDEXAMPLE"),
        ("x-amz-credential", f"/{SCOPE}"),
        ("x-amz-credential", "AKIDEXAMPLE/20150830/us-east-1/sqs/aws4_request"),
        ("x-amz-credential", "AKIDEXAMPLE/20150830/US EAST/s3/aws4_request"),
        ("x-amz-credential", "AKIDEXAMPLE/20150830/us-east-1/s3/aws5_request"),
    ],
)
def test_a_proof_that_is_none(gate: Gate, name: str, value: str) -> None:
    assert told(gate, {**newer(policy(BASIC + SIGNED)), name: value}).startswith("InvalidArgument 400")


def test_one_proof_and_no_more(gate: Gate) -> None:
    document = policy(BASIC + SIGNED)
    assert told(gate, newer(document) | older(document)).startswith("InvalidArgument 400: Only one auth mechanism")
    for head in ({"headers": [("Authorization", "AWS4-HMAC-SHA256 Credential=")]}, {"target": "/b?X-Amz-Signature=0"}):
        assert told(gate, newer(document), **head).startswith("InvalidRequest 400: The proof of an upload by a form")
        assert told(gate, {}, **head).startswith("InvalidRequest 400")


def test_without_a_proof_nobody_asks(gate: Gate) -> None:
    assert admit(gate, {"acl": "private"}).principal.kind == "anonymous"
    # A policy that nobody signed binds all the same.
    assert admit(gate, {"policy": policy(BASIC)}).principal.kind == "anonymous"
    assert "Extra input fields: acl" in told(gate, {"policy": policy(BASIC), "acl": "private"})


def test_a_policy_expires(gate: Gate, time: Time) -> None:
    fields = older(policy(BASIC, "2015-08-30T12:36:00.500Z"))
    time.at = NOW - 0.001
    admit(gate, fields)
    time.at = NOW
    assert told(gate, fields) == "AccessDenied 403: Invalid according to Policy: Policy expired."


@pytest.mark.parametrize(
    ("conditions", "fields"),
    [
        ([], {"x-ignore-me": "1"}),
        ([{"acl": "private"}], {"acl": "private"}),
        ([{"AcL": "private"}], {"acl": "private"}),
        ([["EQ", "$acl", "private"]], {"acl": "private"}),
        ([["starts-with", "$acl", ""]], {"acl": "anything"}),
        ([["starts-with", "$acl", ""]], {}),
        ([["starts-with", "$Content-Type", "image/"]], {"content-type": "image/png, image/gif"}),
        ([["starts-with", "$x-amz-meta-a", "a,"]], {"x-amz-meta-a": "a,b"}),
        ([["content-length-range", 4, 4]], {}),
        ([["content-length-range", "0", "10"]], {}),
    ],
)
def test_conditions_that_are_met(gate: Gate, conditions: list[Any], fields: dict[str, str]) -> None:
    assert admit(gate, {**older(policy(BASIC + conditions)), **fields}).request.body.read() == b"data"


def test_dollars_are_written_as_aws_has_them(gate: Gate) -> None:
    document = r'{"expiration":"2015-08-30T13:00:00Z","conditions":[["eq","$key","a\$b\v\\$c"]]}'
    assert admit(gate, {**older(encoded(document)), "key": "a$b\v\\$c"}).principal == ROOT


@pytest.mark.parametrize(
    ("conditions", "fields", "reason"),
    [
        ([], {"acl": "private"}, "Extra input fields: acl"),
        ([], {"x-amz-meta-a": "1", "tagging": ""}, "Extra input fields: x-amz-meta-a, tagging"),
        ([{"acl": "private"}], {}, 'Policy Condition failed: ["eq", "$acl", "private"]'),
        ([{"acl": "private"}], {"acl": "Private"}, 'Policy Condition failed: ["eq", "$acl", "private"]'),
        ([["eq", "acl", "private"]], {"acl": "private"}, 'Policy Condition failed: ["eq", "acl", "private"]'),
        ([["starts-with", "$acl", "p"]], {"acl": "q"}, 'Policy Condition failed: ["starts-with", "$acl", "p"]'),
        ([], {"key": "other/k"}, 'Policy Condition failed: ["starts-with", "$key", "user/"]'),
        ([{"bucket": "another"}], {"bucket": "another"}, 'Policy Condition failed: ["eq", "$bucket", "another"]'),
        (
            [["starts-with", "$Content-Type", "image/"]],
            {"content-type": "image/png,text/html"},
            'Policy Condition failed: ["starts-with", "$Content-Type", "image/"]',
        ),
        (
            [["content-length-range", "test", "10"]],
            {},
            'Policy Condition failed: ["content-length-range", "test", "10"]',
        ),
    ],
)
def test_conditions_that_are_not(gate: Gate, conditions: list[Any], fields: dict[str, str], reason: str) -> None:
    refusal = told(gate, {**older(policy(BASIC + conditions)), **fields})
    assert refusal == f"AccessDenied 403: Invalid according to Policy: {reason}"


@pytest.mark.parametrize(
    ("size", "code"),
    [(3, "EntityTooSmall 400"), (4, ""), (6, ""), (7, "EntityTooLarge 400"), (9_000, "EntityTooLarge")],
)
def test_the_size_is_that_of_the_file(gate: Gate, size: int, code: str) -> None:
    fields = older(policy([*BASIC, ["content-length-range", 0, 6], ["content-length-range", 4, 8]]))
    if code:
        assert told(gate, fields, b"x" * size).startswith(code)
        return
    body = admit(gate, fields, b"x" * size).request.body
    assert b"".join(iter(lambda: body.read(2), b"")) == b"x" * size


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("", "Invalid JSON."),
        ("[]", "Invalid JSON."),
        ("[" * 100_000, "Invalid JSON."),
        ('{"expiration": "\\ud800", "conditions": []}', "Invalid JSON."),
        ('{"expiration": "2015-08-30T13:00:00Z", "conditions": [["eq", "$key", "\\ud800"]]}', "Invalid JSON."),
        ('{"conditions": []}', "Policy missing expiration."),
        ('{"EXPIRATION": "2015-08-30T13:00:00Z", "conditions": []}', "Policy missing expiration."),
        ('{"expiration": "tomorrow", "conditions": []}', "Invalid 'expiration' value: 'tomorrow'"),
        ('{"expiration": "2015-02-30T13:00:00Z", "conditions": []}', "Invalid 'expiration' value"),
        ('{"expiration": 1, "conditions": []}', "Invalid 'expiration' value: '1'"),
        ('{"expiration": "2015-08-30T13:00:00Z"}', "Policy missing conditions."),
        ('{"expiration": "2015-08-30T13:00:00Z", "conditions": {}}', "Policy missing conditions."),
    ],
)
def test_documents_that_are_none(gate: Gate, document: str, reason: str) -> None:
    assert told(gate, older(encoded(document or "no JSON"))).startswith(
        f"InvalidPolicyDocument 400: Invalid Policy: {reason}"
    )


def test_a_policy_is_base64(gate: Gate) -> None:
    assert told(gate, older("{not base64}")).startswith("InvalidPolicyDocument 400")
    assert told(gate, older("/w==")).startswith("InvalidPolicyDocument 400")


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"acl": "private", "key": "k"},
        {"acl": 1},
        "acl",
        [],
        ["eq", "$acl"],
        ["eq", "$acl", 1],
        ["ends-with", "$acl", "x"],
        ["content-length-range", 0],
        ["content-length-range", -1, 0],
    ],
)
def test_conditions_that_are_none(gate: Gate, condition: Any) -> None:
    assert told(gate, older(policy([condition]))).startswith("InvalidPolicyDocument 400: Invalid Policy: ")
