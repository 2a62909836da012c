"""Requests that bring no signature, or name no operation: what they are told."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from whole_server import WholeServer

ROLE = "arn:aws:iam::123456789012:role/service-role/AmazonSageMaker-ExecutionRole-Clary"


@pytest.fixture
def sts(server: WholeServer) -> Any:
    config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1})
    return boto3.client("sts", endpoint_url=server.url, region_name="us-east-1", config=config)


def test_a_proof_in_the_body_is_looked_at(sts: Any) -> None:
    with pytest.raises(ClientError, match="is not a valid JWT") as refused:
        sts.assume_role_with_web_identity(RoleArn=ROLE, RoleSessionName="me", WebIdentityToken="token")
    assert refused.value.response["Error"]["Code"] == "InvalidIdentityToken"
    with pytest.raises(ClientError, match="Specified provider doesn't exist") as refused:
        sts.assume_role_with_saml(RoleArn=ROLE, PrincipalArn=ROLE, SAMLAssertion="assertion")
    assert refused.value.response["Error"]["Code"] == "InvalidIdentityToken"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_to_sagemaker_that_names_no_operation(server: WholeServer, method: str) -> None:
    scope = "AWS4-HMAC-SHA256 Credential=AKIANOBODY/20261121/us-east-1/sagemaker/aws4_request, SignedHeaders=host"
    request = urllib.request.Request(server.url, method=method, headers={"Authorization": f"{scope}, Signature=0"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert (refused.value.code, refused.value.headers["Content-Type"]) == (404, "application/x-amz-json-1.1")
    assert b'"__type":"UnknownOperationException"' in refused.value.read()
