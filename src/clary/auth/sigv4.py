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

_BLOCK = 64  # bytes, SHA-256's
EMPTY_HASH = hashlib.sha256(b"").hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"


class SigningKeys:
    """Derived signing keys, the most recently used `capacity` of them remembered. Safe between threads."""

    def __init__(self, capacity: int = 4096) -> None:
        self._signer = lru_cache(maxsize=capacity)(_derived)

    def of(self, secret_key: str, claim: Claim) -> Signer:
        """The one that the claim's scope asks for."""
        return self._signer(secret_key, claim.date, claim.region, claim.service)


class Signer:
    """HMAC-SHA256 (RFC 2104) with one `key` of at most 64 bytes, whose two blocks are hashed once and not for each text
    anew: that is more than half of a short text's price."""

    __slots__ = ("_inner", "_outer", "key")

    def __init__(self, key: bytes) -> None:
        self.key = key
        block = key.ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def sign(self, text: bytes) -> str:
        """In hexadecimal digits."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text)
        outer.update(inner.digest())
        return outer.hexdigest()


def _derived(secret_key: str, date: str, region: str, service: str) -> Signer:
    return Signer(derive(secret_key, date, region, service))


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
    unsigned = _unsigned(tuple(given), signed, kind)
    if unsigned:
        raise refusals.headers_unsigned(kind, list(unsigned))


@lru_cache(maxsize=64)  # a client's heads have the same names; pure, so never stale
def _unsigned(given: tuple[str, ...], signed: tuple[str, ...], kind: Family) -> tuple[str, ...]:
    """The names that a signature has to cover and `signed` does not."""
    # Outside S3 some clients add the token after signing; it proves itself by being the session's.
    late = () if kind == "s3" else ("x-amz-security-token",)
    return tuple([name for name in given if name.startswith("x-amz-") and name not in signed and name not in late])


def check_signature(
    claim: Claim, credential: Credential, head: RequestHead, payload: str, rules: Rules, keys: SigningKeys
) -> bytes:
    """Compares the signature with that of `head` with the payload hash `payload`; raises ServiceError.

    Returns the signing key, with which the chunks of a signed streaming body go on.
    """
    signer = keys.of(credential.secret_key, claim)
    text = _canonical(claim, head, payload, rules, ())
    if _matches(claim, signer, text):
        return signer.key
    # The same latitude for a token that was added to a presigned URL after signing.
    late_token = claim.presigned and claim.token and rules.kind != "s3"
    if late_token and _matches(claim, signer, _canonical(claim, head, payload, rules, ("X-Amz-Security-Token",))):
        return signer.key
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
    fields, signed = head.fields, claim.signed
    values = tuple([tuple(fields.get(name, ())) for name in signed])
    if rules.kind == "s3" or claim.presigned:
        left_out = ("X-Amz-Signature", *without) if claim.presigned else without
        text = _before_payload(head.method, head.target, signed, values, rules.kind, rules.normalize, left_out)
    else:
        text = _known_before_payload(head.method, head.target, signed, values, rules.kind, rules.normalize)
    return f"{text}{payload}".encode("latin-1")


def _before_payload(
    method: str,
    target: str,
    signed: tuple[str, ...],
    values: tuple[tuple[str, ...], ...],
    kind: Family,
    normalize: bool,
    without: tuple[str, ...] = (),
) -> str:
    """The canonical request up to its last line, the payload's hash. `values` are those of the `signed` headers; the
    query's parameters named in `without` are left out."""
    path, _, query = target.partition("?")
    where = canonical.s3_path(path) if kind == "s3" else canonical.service_path(path, normalize)
    lines, what = canonical.headers(signed, values), canonical.query(query, without)
    return f"{method}\n{where}\n{what}\n{lines}\n{';'.join(signed)}\n"


# What a busy client signs is the same for a second but for its bodies. Nothing is remembered where it is not: for S3 an
# object's hash is a header. Pure, so never stale; few, because a head may have 64 KiB.
_known_before_payload = lru_cache(maxsize=64)(_before_payload)


def _to_sign(claim: Claim, text: bytes) -> bytes:
    return f"{ALGORITHM}\n{claim.stamp}\n{claim.scope}\n{hashlib.sha256(text).hexdigest()}".encode("latin-1")


def _matches(claim: Claim, signer: Signer, text: bytes) -> bool:
    wanted = signer.sign(_to_sign(claim, text))
    return claim.signature.isascii() and hmac.compare_digest(wanted, claim.signature)
