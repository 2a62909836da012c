"""Signature Version 4 as a verifier. Pure: no I/O, no clock, no key store; the caller brings all three.

The signature proves the head and the payload hash that the head declares. That the body has this hash is for the reader
of the body to find out: at once when it is in memory, at its end when it streams (`clary.auth.bodies`).
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from functools import lru_cache

from clary.auth import canonical, refusals
from clary.auth.claims import ALGORITHM, Claim, from_header
from clary.auth.principals import Credential
from clary.auth.refusals import Family
from clary.wire.messages import Request, RequestHead

EMPTY_HASH = hashlib.sha256(b"").hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"


class SigningKeys:
    """Derived signing keys, the most recently used `capacity` of them remembered. Safe between threads."""

    def __init__(self, capacity: int = 4096) -> None:
        self.derive = lru_cache(maxsize=capacity)(derive)


def derive(secret_key: str, date: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode("latin-1"), "sha256")
    return key


@dataclass(frozen=True, slots=True)
class Rules:
    """What a service wants signed. `service` is its signing name; `window` is how far, in seconds, a signer's clock may
    be off. `normalize` is off only where paths are object keys (S3) and in the published vectors."""

    service: str
    kind: Family
    window: float = 900.0
    normalize: bool = True


def check_claim(claim: Claim, credential: Credential, head: RequestHead, rules: Rules, now: float) -> None:
    """Everything about a claim but its signature. Raises ServiceError."""
    kind = rules.kind
    if claim.service != rules.service:
        raise refusals.wrong_scope_service(kind, claim.service, rules.service)
    _check_time(claim, rules, now)
    check_token(credential, claim.token, kind, now)
    _check_signed(claim, head, kind)


def check_token(credential: Credential, token: str, kind: Family, now: float) -> None:
    """The session token has to be the key's own, and its session alive. Raises ServiceError."""
    wanted = credential.session_token
    if (wanted or token) and not hmac.compare_digest(wanted.encode(), token.encode()):
        raise refusals.wrong_token(kind)
    if credential.expires is not None and credential.expires <= now:
        raise refusals.expired_token(kind)


def _check_time(claim: Claim, rules: Rules, now: float) -> None:
    kind, window = rules.kind, rules.window
    if claim.expires is None:
        if abs(now - claim.at) > window:
            raise refusals.skewed(kind, claim.at, now, window)
        return
    if claim.at > now + window:
        raise refusals.url_early(kind, claim.at, now, window)
    if claim.at + claim.expires < now:
        raise refusals.url_expired(kind, claim.at + claim.expires, now, claim.expires)


def _check_signed(claim: Claim, head: RequestHead, kind: Family) -> None:
    signed = claim.signed
    given = head.fields
    if "host" not in signed or "host" not in given:
        raise refusals.host_unsigned(kind)
    unsigned = [name for name in given if name not in signed and name.startswith("x-amz-")]
    # Outside S3 some clients add the token after signing; it proves itself by being the session's.
    if unsigned and kind != "s3":
        unsigned = [name for name in unsigned if name != "x-amz-security-token"]
    if unsigned:
        raise refusals.headers_unsigned(kind, unsigned)


def check_signature(
    claim: Claim, credential: Credential, head: RequestHead, payload: str, rules: Rules, keys: SigningKeys
) -> bytes:
    """Compares the signature with that of `head` with the payload hash `payload`; raises ServiceError.

    Returns the signing key, with which the chunks of a signed streaming body go on.
    """
    key = keys.derive(credential.secret_key, claim.date, claim.region, claim.service)
    text = _canonical(claim, head, payload, rules, ())
    if _matches(claim, key, text):
        return key
    # The same latitude for a token that was added to a presigned URL after signing.
    late_token = claim.presigned and claim.token and rules.kind != "s3"
    if late_token and _matches(claim, key, _canonical(claim, head, payload, rules, ("X-Amz-Security-Token",))):
        return key
    raise refusals.mismatch(rules.kind, claim.access_key, claim.signature, text, _to_sign(claim, text))


def verify(request: Request, body: bytes, credential: Credential, rules: Rules, keys: SigningKeys, now: float) -> Claim:
    """A whole request with a signed header and its body in memory: the way of every service but S3.

    Raises ServiceError; returns the claim, proven. `credential` is the one that `from_header(request)` names.
    """
    claim = from_header(request, rules.kind)
    check_claim(claim, credential, request, rules, now)
    check_signature(claim, credential, request, hashlib.sha256(body).hexdigest(), rules, keys)
    return claim


def _canonical(claim: Claim, head: RequestHead, payload: str, rules: Rules, without: tuple[str, ...]) -> bytes:
    path, _, query = head.target.partition("?")
    if claim.presigned:
        without = ("X-Amz-Signature", *without)
    where = canonical.s3_path(path) if rules.kind == "s3" else canonical.service_path(path, rules.normalize)
    lines = canonical.headers(head.fields, claim.signed)
    what = canonical.query(query, without)
    return f"{head.method}\n{where}\n{what}\n{lines}\n{';'.join(claim.signed)}\n{payload}".encode("latin-1")


def _to_sign(claim: Claim, text: bytes) -> bytes:
    return f"{ALGORITHM}\n{claim.stamp}\n{claim.scope}\n{hashlib.sha256(text).hexdigest()}".encode("latin-1")


def _matches(claim: Claim, key: bytes, text: bytes) -> bool:
    wanted = hmac.digest(key, _to_sign(claim, text), "sha256").hex()
    return hmac.compare_digest(wanted.encode(), claim.signature.encode())
