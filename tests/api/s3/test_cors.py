"""Cross-origin requests: configurations, preflight, and headers on the answers to other requests."""

from __future__ import annotations

import http.client
from types import SimpleNamespace
from typing import Any

import pytest

from api.s3.faults import refused

RULES = [
    {
        "ID": "app",
        "AllowedMethods": ["GET", "PUT"],
        "AllowedOrigins": ["https://*.example.com", "https://example.com"],
        "AllowedHeaders": ["x-amz-*", "Content-Type"],
        "ExposeHeaders": ["ETag", "x-amz-meta-a"],
        "MaxAgeSeconds": 3000,
    },
    {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]},
]


def ask(server: SimpleNamespace, method: str, path: str, **headers: str) -> tuple[int, dict[str, str], str]:
    """(status, headers by lower-cased name, body); `_` in a name stands for `-`."""
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
    try:
        connection.request(method, path, headers={name.replace("_", "-"): text for name, text in headers.items()})
        answer = connection.getresponse()
        return answer.status, {name.lower(): text for name, text in answer.getheaders()}, answer.read().decode()
    finally:
        connection.close()


def test_a_configuration_comes_and_goes(s3: Any, bucket: str) -> None:
    with refused("NoSuchCORSConfiguration", 404):
        s3.get_bucket_cors(Bucket=bucket)
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": RULES})
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == RULES
    s3.delete_bucket_cors(Bucket=bucket)
    with refused("NoSuchCORSConfiguration", 404):
        s3.get_bucket_cors(Bucket=bucket)
    s3.delete_bucket_cors(Bucket=bucket)


@pytest.mark.parametrize(
    ("rule", "code", "told"),
    [
        ({"AllowedMethods": ["PATCH"], "AllowedOrigins": ["*"]}, "InvalidRequest", "Unsupported method is PATCH"),
        ({"AllowedMethods": ["GET"], "AllowedOrigins": ["*a*"]}, "InvalidRequest", 'AllowedOrigin "\\*a\\*" can not'),
        (
            {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "AllowedHeaders": ["*-*"]},
            "InvalidRequest",
            'AllowedHeader "\\*-\\*" can not',
        ),
        (
            {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "ExposeHeaders": ["*"]},
            "InvalidRequest",
            'ExposeHeader "\\*" contains wildcard',
        ),
        ({"AllowedMethods": ["GET"], "AllowedOrigins": []}, "MalformedXML", ""),
    ],
)
def test_rules_that_are_none(s3: Any, bucket: str, rule: dict[str, Any], code: str, told: str) -> None:
    with refused(code, 400) as caught:
        s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    caught.match(told)


def test_preflight(s3: Any, bucket: str, server: SimpleNamespace) -> None:
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": RULES})
    asked = {"Origin": "https://a.example.com", "Access_Control_Request_Method": "PUT"}
    wanted = "X-Amz-Date, content-type"
    status, headers, body = ask(server, "OPTIONS", f"/{bucket}/k", Access_Control_Request_Headers=wanted, **asked)
    assert (status, body) == (200, "")
    assert headers["access-control-allow-origin"] == "https://a.example.com"
    assert headers["access-control-allow-methods"] == "GET, PUT"
    assert headers["access-control-allow-headers"] == "x-amz-date, content-type"
    assert headers["access-control-expose-headers"] == "ETag, x-amz-meta-a"
    assert headers["access-control-max-age"] == "3000"
    assert headers["access-control-allow-credentials"] == "true"
    assert headers["vary"] == "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"

    anyone = ask(server, "OPTIONS", f"/{bucket}", Origin="null", Access_Control_Request_Method="GET")
    assert (anyone[0], anyone[1]["access-control-allow-origin"]) == (200, "*")
    assert "access-control-allow-credentials" not in anyone[1]


@pytest.mark.parametrize(
    ("headers", "status", "told"),
    [
        ({}, 400, "<Code>BadRequest</Code><Message>Insufficient information. Origin request header needed.<"),
        ({"Origin": "http://a"}, 400, "<Message>Invalid Access-Control-Request-Method: null</Message>"),
        ({"Origin": "http://a", "Access_Control_Request_Method": "PUT"}, 403, "<ResourceType>OBJECT</ResourceType>"),
        (
            {"Origin": "http://a", "Access_Control_Request_Method": "GET", "Access_Control_Request_Headers": "x-a"},
            403,
            "<Code>AccessForbidden</Code><Message>CORSResponse: This CORS request is not allowed.",
        ),
    ],
)
def test_preflight_refused(
    s3: Any, bucket: str, server: SimpleNamespace, headers: dict[str, str], status: int, told: str
) -> None:
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": RULES})
    answer = ask(server, "OPTIONS", f"/{bucket}/k", **headers)
    assert answer[0] == status
    assert told in answer[2]
    assert not any(name.startswith("access-control") for name in answer[1])


def test_a_bucket_that_allows_nothing(bucket: str, server: SimpleNamespace) -> None:
    for name in (bucket, "there-is-no-such-bucket"):
        answer = ask(server, "OPTIONS", f"/{name}/k", Origin="http://a", Access_Control_Request_Method="GET")
        assert answer[0] == 403
        assert "CORSResponse: CORS is not enabled for this bucket." in answer[2]


def test_other_answers_say_what_is_allowed(s3: Any, bucket: str, server: SimpleNamespace) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"data")
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": RULES})
    url = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"}).removeprefix(server.url)
    status, headers, body = ask(server, "GET", url, Origin="https://example.com")
    assert (status, body, headers["access-control-allow-origin"]) == (200, "data", "https://example.com")

    refused_too = ask(server, "PUT", f"/{bucket}/k", Origin="https://example.com")
    assert (refused_too[0], refused_too[1]["access-control-allow-methods"]) == (403, "GET, PUT")
    for given in ({}, {"Origin": "https://elsewhere.org"}):
        told = ask(server, "DELETE", f"/{bucket}/k", **given)[1]
        assert not any(name.startswith("access-control") for name in told)
