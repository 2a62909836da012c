"""Signature Version 2 in the query of an S3 URL, which boto3 still makes by default when it presigns. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, replace
from urllib.parse import unquote, unquote_plus

from clary.auth import refusals
from clary.auth.principals import Credential
from clary.auth.sigv4 import check_token
from clary.errors import ServiceError
from clary.wire.messages import Headers, Request

# Parameters that name what is done, or to what: they are part of the signed resource.
_SIGNED = frozenset(
    {"accelerate", "acl", "analytics", "cors", "defaultObjectAcl", "delete", "inventory", "lifecycle", "location"}
    | {"logging", "metrics", "notification", "object-lock", "partNumber", "policy", "replication", "requestPayment"}
    | {"response-cache-control", "response-content-disposition", "response-content-encoding"}
    | {"response-content-language", "response-content-type", "response-expires", "restore", "select", "select-type"}
    | {"storageClass", "tagging", "torrent", "uploadId", "uploads", "versionId", "versioning", "versions", "website"}
)
# Parameters that this signature never covered and that only choose a page of a listing (or say nothing).
_FREE = frozenset(
    {"prefix", "delimiter", "marker", "max-keys", "encoding-type", "list-type", "continuation-token", "start-after"}
    | {"fetch-owner", "key-marker", "version-id-marker", "upload-id-marker", "max-uploads", "max-parts"}
    | {"part-number-marker", "x-id"}
)
_PROOF = ("AWSAccessKeyId", "Signature", "Expires")


@dataclass(frozen=True, slots=True)
class Claim2:
    """`expires` is when the URL ends, epoch seconds. `hoisted` are headers that the signer put into the query."""

    access_key: str
    signature: str
    expires: int
    resource: str
    hoisted: dict[str, str]


def from_query(request: Request, bucket_in_host: str) -> Claim2:
    """Of a URL with a Signature parameter. Raises ServiceError. `bucket_in_host` is the bucket where the host names it,
    empty where the path does: the signed resource begins with it."""
    given = _parameters(request.query)
    access_key, signature, expires = (given.get(name) or "" for name in _PROOF)
    if not (access_key and signature and expires):
        message = "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters"
        raise ServiceError("AccessDenied", message, 403)
    if not (expires.isascii() and expires.isdigit() and len(expires) <= 12):
        raise ServiceError("AccessDenied", f"Invalid date (should be seconds since epoch): {expires}", 403)
    hoisted = {name.lower(): value or "" for name, value in given.items() if _is_header(name)}
    path = f"/{bucket_in_host}{request.path}" if bucket_in_host else request.path
    resource = _resource(path, {name: value for name, value in given.items() if name not in _PROOF})
    return Claim2(access_key, signature, int(expires), resource, hoisted)


def verify(request: Request, claim: Claim2, credential: Credential, now: float) -> Request:
    """Raises ServiceError. Returns the request with the hoisted headers where headers belong."""
    if claim.expires < now:
        raise refusals.url_expired("s3", claim.expires, now)
    given = request.headers
    extra = [(name, value) for name, value in claim.hoisted.items() if name not in given]
    merged = replace(request, headers=Headers((*given.pairs, *extra)))
    check_token(credential, merged.headers.get("x-amz-security-token") or "", "s3", now)
    text = _to_sign(merged, claim).encode("latin-1")
    digest = hmac.digest(credential.secret_key.encode(), text, hashlib.sha1)
    if not hmac.compare_digest(base64.b64encode(digest), claim.signature.encode()):
        raise refusals.mismatch("s3", claim.access_key, claim.signature, b"", text)
    return merged


def _parameters(query: str) -> dict[str, str | None]:
    """Decoded; None for a parameter without '='."""
    found: dict[str, str | None] = {}
    for piece in query.split("&"):
        if not piece:
            continue
        name, equals, value = piece.partition("=")
        name = unquote(name, "latin-1")
        if name in found:
            raise refusals.two_proofs("s3")
        decode = unquote_plus if name in _PROOF or _is_header(name) else unquote
        found[name] = decode(value, "latin-1") if equals else None
    return found


def _is_header(name: str) -> bool:
    return name.lower().startswith("x-amz-") or name.lower() in ("content-type", "content-md5")


def _resource(path: str, parameters: dict[str, str | None]) -> str:
    parts = []
    for name, value in sorted(parameters.items()):
        if name in _SIGNED:
            parts.append(name if value is None else f"{name}={value}")
        elif name not in _FREE and not _is_header(name):
            message = f"The parameter '{name}' is not covered by a version 2 signature. Please use AWS4-HMAC-SHA256."
            raise ServiceError("InvalidRequest", message, 400)
    return f"{path}?{'&'.join(parts)}" if parts else path


def _to_sign(request: Request, claim: Claim2) -> str:
    headers = request.headers
    amz = sorted(name for name in headers.names() if name.startswith("x-amz-"))
    lines = "".join(f"{name}:{','.join(value.strip() for value in headers.all(name))}\n" for name in amz)
    md5, kind = (headers.get(name) or "" for name in ("content-md5", "content-type"))
    return f"{request.method}\n{md5}\n{kind}\n{claim.expires}\n{lines}{claim.resource}"
