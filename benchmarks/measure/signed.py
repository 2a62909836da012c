"""Requests as botocore signs them, made beforehand: all different, so that nothing can answer one from another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.credentials import Credentials


def invocations(port: int, endpoint: str, bodies: Sequence[bytes], key: Credentials, region: str) -> list[bytes]:
    """InvokeEndpoint of boto3, one for each body. They hold for the 15 minutes that AWS gives a signature."""
    session = boto3.Session(key.access_key, key.secret_key, key.token, region_name=region)
    client = session.client("sagemaker-runtime", endpoint_url=f"http://127.0.0.1:{port}")
    made: list[bytes] = []

    def keep(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        made.append(_bytes(request, port, endpoint))
        return AWSResponse(request.url, 200, {}, _Nothing())

    client.meta.events.register("before-send.sagemaker-runtime", keep)
    for body in bodies:
        client.invoke_endpoint(EndpointName=endpoint, Body=body, ContentType="text/csv", Accept="text/csv")
    return made


class _Nothing:
    """An answer's raw stream, empty."""

    def stream(self) -> list[bytes]:
        return []


def _bytes(request: AWSPreparedRequest, port: int, endpoint: str) -> bytes:
    """As http.client sends it."""
    lines = [f"POST /endpoints/{endpoint}/invocations HTTP/1.1", f"Host: 127.0.0.1:{port}", "Accept-Encoding: identity"]
    for name, value in request.headers.items():
        lines.append(f"{name}: {value.decode() if isinstance(value, bytes) else value}")
    return "\r\n".join([*lines, "", ""]).encode() + bytes(request.body)
