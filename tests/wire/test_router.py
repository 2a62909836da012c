"""Which operation a request means: by scope, target, action, path, host, and the ways to name a bucket."""

from __future__ import annotations

import gzip
import json

import pytest
from botocore.loaders import Loader

from clary.errors import ServiceError
from clary.wire import protocols
from clary.wire.messages import BytesBody, Headers, Request
from clary.wire.models import SERVICES, TRAITS, Models
from clary.wire.router import FORM_LIMIT, Route, Router, RoutingError, credential_scope

ROUTER = Router(Models(), s3_suffixes=("s3.localhost",))
GRANITE = "GraniteServiceVersion20100801"
RUNTIME_HOST = "runtime.sagemaker.eu-west-1.amazonaws.com"
FORM = "application/x-www-form-urlencoded; charset=utf-8"


def request(
    method: str, target: str, scope: str = "", body: bytes = b"", host: str = "127.0.0.1:7467", **headers: str
) -> Request:
    pairs = [("Host", host), *((name.replace("_", "-"), value) for name, value in headers.items())]
    if scope:
        credential = f"Credential=AKID/20260101/eu-west-1/{scope}/aws4_request"
        pairs.append(("Authorization", f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=0"))
    return Request(method, target, Headers(pairs), BytesBody(body))


def route(method: str, target: str, scope: str = "", **given: object) -> Route:
    return ROUTER.route(request(method, target, scope, **given))  # type: ignore[arg-type]


def test_traits_are_those_of_the_models() -> None:
    for name in SERVICES:
        data = Loader().load_service_model(name, "service-2")["metadata"]
        traits = TRAITS[name]
        assert traits.host == data["endpointPrefix"]
        assert traits.scope == data.get("signingName", data["endpointPrefix"].replace("s3-control", "s3"))
        assert set(traits.protocols) == set(data["protocols"])
        assert traits.target == (data.get("targetPrefix", "") if "json" in traits.protocols else "")
        assert traits.version == (data["apiVersion"] if "query" in traits.protocols else "")


def test_no_model_is_loaded_before_it_is_needed() -> None:
    models = Models()
    router = Router(models)
    router.route(request("POST", "/", "sts", b"Action=GetCallerIdentity&Version=2011-06-15", Content_Type=FORM))
    assert set(models._models) == {"sts"}
    with pytest.raises(KeyError):
        models.service("dynamodb")


@pytest.mark.parametrize(
    ("method", "target", "scope", "headers", "want"),
    [
        ("POST", "/", "sagemaker", {"X_Amz_Target": "SageMaker.ListModels"}, "sagemaker:ListModels"),
        ("POST", "/endpoints/e-1/invocations", "sagemaker", {}, "sagemaker-runtime:InvokeEndpoint"),
        ("POST", "/endpoints/e-1/async-invocations", "sagemaker", {}, "sagemaker-runtime:InvokeEndpointAsync"),
        ("GET", "/FeatureGroup/f", "sagemaker", {}, "sagemaker-featurestore-runtime:GetRecord"),
        ("PUT", "/BatchPutMetrics", "sagemaker", {}, "sagemaker-metrics:BatchPutMetrics"),
        ("POST", "/", "monitoring", {"X_Amz_Target": f"{GRANITE}.ListMetrics"}, "cloudwatch:ListMetrics"),
        ("POST", f"/service/{GRANITE}/operation/ListMetrics", "monitoring", {}, "cloudwatch:ListMetrics"),
        ("POST", "/", "", {"X_Amz_Target": "Logs_20140328.GetLogEvents"}, "logs:GetLogEvents"),
        ("POST", "/?Action=ListRoles&Version=2010-05-08", "", {}, "iam:ListRoles"),
        ("POST", "/endpoints/e-1/invocations", "", {"host": RUNTIME_HOST}, "sagemaker-runtime:InvokeEndpoint"),
        ("GET", "/v20180820/tags/arn%3Aaws%3As3", "s3", {"X_Amz_Account_Id": "1"}, "s3control:ListTagsForResource"),
        ("GET", "/v20180820/tags/arn", "s3", {}, "s3:GetObject"),
        ("GET", "/endpoints/e-1/invocations", "s3", {}, "s3:GetObject"),
        ("GET", "/", "s3", {}, "s3:ListBuckets"),
        ("GET", "/b", "", {}, "s3:ListObjects"),
        ("GET", "/b/?list-type=2&prefix=a", "s3", {}, "s3:ListObjectsV2"),
        ("GET", "/b?location", "s3", {}, "s3:GetBucketLocation"),
        ("GET", "/b?lifecycle", "s3", {}, "s3:GetBucketLifecycleConfiguration"),
        ("GET", "/b/k?uploadId=u", "s3", {}, "s3:ListParts"),
        ("GET", "/b/k?tagging", "s3", {}, "s3:GetObjectTagging"),
        ("GET", "/b/k?attributes", "s3", {"X_Amz_Object_Attributes": "ETag"}, "s3:GetObjectAttributes"),
        ("PUT", "/b/k", "s3", {}, "s3:PutObject"),
        ("PUT", "/b/k", "s3", {"X_Amz_Copy_Source": "/b/other"}, "s3:CopyObject"),
        ("PUT", "/b/k?partNumber=1&uploadId=u", "s3", {}, "s3:UploadPart"),
        ("PUT", "/b/k?partNumber=1&uploadId=u", "s3", {"X_Amz_Copy_Source": "/b/o"}, "s3:UploadPartCopy"),
        ("POST", "/b/k?uploads", "s3", {}, "s3:CreateMultipartUpload"),
        ("POST", "/b/k?uploadId=u", "s3", {}, "s3:CompleteMultipartUpload"),
        ("POST", "/b?delete", "s3", {}, "s3:DeleteObjects"),
        ("DELETE", "/b/k?uploadId=u", "s3", {}, "s3:AbortMultipartUpload"),
        ("HEAD", "/b/k", "s3", {}, "s3:HeadObject"),
        ("HEAD", "/b", "s3", {}, "s3:HeadBucket"),
        ("GET", "/b/k?X-Amz-Credential=A%2F20260101%2Feu-west-1%2Fs3%2Faws4_request", "", {}, "s3:GetObject"),
        ("GET", "/b/k?AWSAccessKeyId=A&Signature=s&Expires=1", "", {}, "s3:GetObject"),
    ],
)  # fmt: skip
def test_operations(method: str, target: str, scope: str, headers: dict[str, str], want: str) -> None:
    found = route(method, target, scope, **headers)
    assert f"{found.service}:{found.operation.name}" == want


@pytest.mark.parametrize(
    ("host", "target", "bucket", "key"),
    [
        ("127.0.0.1:7467", "/b/k", "b", "k"),
        ("s3.eu-west-1.amazonaws.com", "/b/k", "b", "k"),
        ("s3-eu-west-1.amazonaws.com", "/b/k", "b", "k"),
        ("my.bucket.s3.amazonaws.com", "/k", "my.bucket", "k"),
        ("b.s3.eu-west-1.amazonaws.com", "/k", "b", "k"),
        ("b.s3-eu-west-1.amazonaws.com", "/k/l", "b", "k/l"),
        ("b.s3.dualstack.eu-west-1.amazonaws.com", "/k", "b", "k"),
        ("b.s3-fips.dualstack.us-gov-west-1.amazonaws.com", "/k", "b", "k"),
        ("s3.s3.s3.amazonaws.com", "/k", "s3.s3", "k"),
        ("b.s3.cn-north-1.amazonaws.com.cn", "/k", "b", "k"),
        ("b.s3-.amazonaws.com", "/b/k", "b", "k"),
        ("b.s3..amazonaws.com", "/b/k", "b", "k"),
        ("b.s3.localhost:7467", "//k", "b", "/k"),
        ("h", "/b/../x/..%2f//y/", "b", "../x/..///y/"),
        ("h", "/b/a+b%20c%00%C3%A9", "b", "a+b c\0é"),
        ("h", "/endpoints/%25", "endpoints", "%"),
    ],
)
def test_buckets_and_keys(host: str, target: str, bucket: str, key: str) -> None:
    found = route("GET", target, "s3", host=host)
    assert (found.operation.name, found.labels) == ("GetObject", {"Bucket": bucket, "Key": key})


def test_a_forms_body_is_kept_for_those_who_verify_it() -> None:
    body = b"Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws&RoleSessionName=s"
    body += b"&Tags.member.1.Key=a&Tags.member.1.Value=b+c"
    found = route("POST", "/", "sts", body=body, Content_Type=FORM)
    assert found.request.body.read() == body
    assert found.request.body.length == len(body)
    parameters = protocols.parse(found, body=body)
    assert parameters == {"RoleArn": "arn:aws", "RoleSessionName": "s", "Tags": [{"Key": "a", "Value": "b c"}]}


def test_an_uploads_body_is_not_touched() -> None:
    for target, scope in (("/b/k?uploads", "s3"), ("/endpoints/e/invocations", "sagemaker"), ("/b/k?uploads", "")):
        given = request("POST", target, scope, b"Action=x", Content_Type=FORM)
        assert ROUTER.route(given).request is given
        assert given.body.read() == b"Action=x"


@pytest.mark.parametrize(
    ("given", "code", "protocol"),
    [
        (request("POST", "/", "sagemaker", X_Amz_Target="SageMaker.Nothing"), "UnknownOperationException", "json"),
        (request("POST", "/", "sagemaker"), "UnknownOperationException", "json"),
        (request("POST", "/", "sts", b"Action=Nothing", Content_Type=FORM), "InvalidAction", "query"),
        (request("POST", "/", "sts", b"", Content_Type=FORM), "MissingAction", "query"),
        (request("POST", "/", "sts", b"Action=%ff", Content_Type=FORM), "MalformedQueryString", "query"),
        (request("POST", "/", "sts", b"a" * (FORM_LIMIT + 1), Content_Type=FORM), "RequestEntityTooLarge", "query"),
        (request("POST", "/", "dynamodb", X_Amz_Target="DynamoDB_20120810.ListTables"), "NotImplemented", "json"),
        (request("POST", "/", "ec2", b"Action=DescribeTags", Content_Type=FORM), "NotImplemented", "query"),
        (request("PATCH", "/b/k", "s3"), "MethodNotAllowed", "rest-xml"),
        (request("DELETE", "/b/k?acl", "s3"), "MethodNotAllowed", "rest-xml"),
        (request("POST", "/b/k", "s3"), "MethodNotAllowed", "rest-xml"),
        (request("POST", "/b/k?versionId=v", "s3"), "MethodNotAllowed", "rest-xml"),
        (request("GET", "//k", "s3"), "InvalidBucketName", "rest-xml"),
        (request("GET", "/b/k", "s3", host="s3" + "-a" * 25_000 + "!"), "InvalidHostHeader", "rest-xml"),
    ],
)
def test_requests_that_mean_nothing(given: Request, code: str, protocol: str) -> None:
    with pytest.raises(RoutingError) as caught:
        ROUTER.route(given)
    assert (caught.value.code, caught.value.protocol) == (code, protocol)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("host", ["s3" + "-a" * 126 + "!", "s3" + ".a" * 126 + "!", "a" * 255, "s3." * 85])
def test_a_host_that_is_hard_to_refuse(host: str) -> None:
    assert route("GET", "/b/k", host=host).labels == {"Bucket": "b", "Key": "k"}
    assert ROUTER.bucket_of(f"{host * 200}.amazonaws.com!") == ""


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "credential", ["/a" * 25_000, "/a/" * 17_000, "Credential=" * 5_000, "Credential=/a/" * 10_000]
)
def test_a_credential_that_names_no_scope(credential: str) -> None:
    given = request("GET", "/b/k", Authorization=f"AWS4-HMAC-SHA256 Credential={credential}, Signature=0")
    assert credential_scope(given) == ""


@pytest.mark.parametrize(
    ("authorization", "scope"),
    [
        ("AWS4-HMAC-SHA256 Credential=A/20260101/eu-west-1/sts/aws4_request, SignedHeaders=host", "sts"),
        ("AWS4-HMAC-SHA256 SignedHeaders=host,Credential=A/20260101/eu-west-1/iam/aws4_request", "iam"),
        ("AWS4-HMAC-SHA256 Credential=A/sts/aws4_request", ""),
        ("AWS4-HMAC-SHA256 Credential=A/20260101/eu-west-1//aws4_request", ""),
        ("AWS A:signature", "s3"),
        ("Basic eDp5", ""),
    ],
)
def test_the_scope_of_a_credential(authorization: str, scope: str) -> None:
    assert credential_scope(request("GET", "/", Authorization=authorization)) == scope


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    ("header", "items"),
    [
        ("ETag,Checksum , ObjectSize", ["ETag", "Checksum", "ObjectSize"]),
        ('"a, b" ,c,"d\\"e","f"g', ["a, b", "c", 'd"e', '"f"g']),
        ("a,,b,", ["a", "", "b"]),
        ("a" + " " * 50_000 + "a", ["a" + " " * 50_000 + "a"]),
        ('"' + " " * 50_000, ['"']),
        ('"a,' * 17_000, ['"a'] * 17_000),
        ('"' + "\\" * 50_000 + "a", ['"' + "\\" * 50_000 + "a"]),
    ],
)
def test_a_list_in_a_header(header: str, items: list[str]) -> None:
    found = route("GET", "/b/k?attributes", "s3", x_amz_object_attributes=header)
    assert protocols.parse(found)["ObjectAttributes"] == items


def test_a_key_that_is_not_utf_8() -> None:
    with pytest.raises(ServiceError) as caught:
        route("GET", "/b/%ff", "s3")
    assert caught.value.code == "InvalidURI"


def test_a_body_compressed_by_the_client() -> None:
    body = json.dumps({"Namespace": "n", "MetricData": []}).encode()
    headers = {"X_Amz_Target": "GraniteServiceVersion20100801.PutMetricData", "Content_Encoding": "gzip"}
    found = route("POST", "/", "monitoring", body=gzip.compress(body), **headers)
    assert protocols.parse(found) == {"Namespace": "n", "MetricData": []}
    bomb = route("POST", "/", "monitoring", body=gzip.compress(bytes(protocols.BODY_LIMIT + 1)), **headers)
    with pytest.raises(ServiceError, match="too large"):
        protocols.parse(bomb)
