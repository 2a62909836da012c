"""Signature Version 4 for the agent's own S3 requests (header form, hashed payload). Standard library only."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from urllib.parse import quote

from clary.contract.instance import Credentials

EMPTY = hashlib.sha256(b"").hexdigest()


def path_of(bucket: str, key: str) -> str:
    """The request path, encoded as S3 signs it: once, with the slashes kept."""
    return "/" + quote(f"{bucket}/{key}" if key else bucket, safe="/-_.~")


def query_of(pairs: Mapping[str, str]) -> str:
    """The canonical query string, which is also what goes on the wire."""
    encoded = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in pairs.items())
    return "&".join(f"{name}={value}" for name, value in encoded)


def sign(
    method: str,
    sent: Mapping[str, str],
    path: str,
    query: str,
    payload_hash: str,
    credentials: Credentials,
    region: str,
    now: float,
) -> dict[str, str]:
    """The headers that prove the request, with those that are `sent` anyway (lower-case names; `host` is one of them);
    `now` in epoch seconds."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    headers = {**sent, "x-amz-content-sha256": payload_hash, "x-amz-date": stamp}
    if credentials.session_token:
        headers["x-amz-security-token"] = credentials.session_token
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    request = f"{method}\n{path}\n{query}\n{lines}\n{names}\n{payload_hash}"
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return headers
