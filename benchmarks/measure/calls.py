"""Calls of SageMaker's control plane as boto3 sends them, signed beforehand, each with an invocation id of its own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

_AGENT = "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux#6.1 md/arch#x86_64 lang/python#3.11 md/pyimpl#CPython m/Z,b,e"


def calls(
    port: int, operation: str, given: Iterable[Mapping[str, Any]], key: Credentials, region: str = "us-east-1"
) -> list[bytes]:
    """Whole requests, one for each parameters. They hold for the 15 minutes that AWS gives a signature."""
    return [_call(port, operation, each, number, key, region) for number, each in enumerate(given)]


def _call(port: int, operation: str, given: Mapping[str, Any], number: int, key: Credentials, region: str) -> bytes:
    host, body = f"127.0.0.1:{port}", json.dumps(given).encode()
    headers = {
        "X-Amz-Target": f"SageMaker.{operation}",
        "Content-Type": "application/x-amz-json-1.1",
        "User-Agent": _AGENT,
        "amz-sdk-invocation-id": f"{number:08x}-0000-4000-8000-000000000000",
        "amz-sdk-request": "attempt=1",
        "Content-Length": str(len(body)),
    }
    request = AWSRequest("POST", f"http://{host}/", headers, body)
    SigV4Auth(key, "sagemaker", region).add_auth(request)
    lines = [f"{name}: {value}" for name, value in request.headers.items()]
    head = ["POST / HTTP/1.1", f"Host: {host}", "Accept-Encoding: identity", *lines, "", ""]
    return "\r\n".join(head).encode() + body
