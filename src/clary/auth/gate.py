"""The one gate: a request comes in, exactly one principal comes out, or an error.

The credential schemes are a closed list. To add one (a console session, a notebook's cookie, a job's token), give it a
name in `Scheme`, say in `schemes_of` how its proof is recognised, and add its branch to `Gate.admit`. Uploads by HTML
forms have their proofs in their bodies: `clary.auth.forms` has their schemes, `Gate.admit_form` is their way in. The
registry's clients know only HTTP Basic: `Gate.admit_registry` is theirs (`clary.auth.registry_token`). A request that
carries two proofs is refused, whichever they are.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Literal, NamedTuple

from clary.auth import claims, forms, post_policy, refusals, registry_token, sigv2, sigv4
from clary.auth.bodies import HashedBody, PlainBody, SizedBody, VerifiedBody
from clary.auth.chunked import ChunkedBody, ChunkSignatures
from clary.auth.claims import Claim
from clary.auth.principals import ANONYMOUS, Credential, Keyring, Principal
from clary.auth.refusals import Family
from clary.auth.registry_token import ReadToken
from clary.auth.sigv4 import UNSIGNED, Rules, SigningKeys
from clary.clock import Clock
from clary.config import Settings
from clary.errors import ServiceError
from clary.wire.messages import Body, BytesBody, Request
from clary.wire.multipart import Form

Scheme = Literal["sigv4-header", "sigv4-query", "sigv2-query"]

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SIGNED_CHUNKS = ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER")
_UNSIGNED_CHUNKS = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


class Admitted(NamedTuple):
    """`request` is to be used in place of the one that came: its body is decoded and verifies itself while it is read
    (see `clary.auth.bodies`; of services other than S3 it is in memory, verified). `region` is the one signed for;
    without a signature it is empty."""

    principal: Principal
    request: Request
    region: str
    signing_service: str


class _Proof(NamedTuple):
    """A SigV4 claim with the key it was checked against."""

    claim: Claim
    credential: Credential
    rules: Rules


def schemes_of(request: Request, s3: bool) -> list[Scheme]:
    """The schemes of which `request` carries a proof."""
    found: list[Scheme] = ["sigv4-header"] * len(request.headers.by_name.get("authorization", ()))
    if "=" in request.target:
        names = [piece.partition("=")[0] for piece in request.query.split("&")]
        if "X-Amz-Algorithm" in names or "X-Amz-Signature" in names or "X-Amz-Credential" in names:
            found.append("sigv4-query")
        if s3 and ("Signature" in names or "AWSAccessKeyId" in names):
            found.append("sigv2-query")
    return found


Used = Callable[[Principal, str, str], None]  # (principal, signing service, region)


def _unnoted(_principal: Principal, _service: str, _region: str) -> None: ...


class Gate:
    """Safe between threads; remembers nothing but derived signing keys. `used` is told of each proven request."""

    def __init__(self, keyring: Keyring, clock: Clock, settings: Settings, used: Used = _unnoted) -> None:
        self._keyring = keyring
        self._used = used
        self._clock = clock
        self._window = settings.clock_window_seconds
        self._limit = settings.payload_limit_bytes
        self._keys = SigningKeys()
        self._rules = lru_cache(maxsize=256)(self._make_rules)

    def admit(
        self, request: Request, service: str, protocol: str, bucket_in_host: str = "", unproven: bool = False
    ) -> Admitted:
        """Raises ServiceError, worded for the service.

        `service` is the routed service's signing name, `protocol` botocore's name of the protocol that the request
        speaks. `bucket_in_host` is the bucket where routing took it from the host (S3, virtual-host style).
        Anonymous requests pass for S3; whether they may do what they ask is for the policies to say. And where the
        operation is `unproven`: by its model it takes no signature, its proof is in its parameters (a web identity's
        token), and it verifies that before anything else.
        """
        kind = refusals.family(service, protocol)
        found = schemes_of(request, kind == "s3")
        if len(found) > 1:
            raise refusals.two_proofs(kind)
        if not found:
            return self._unproven(request, service) if unproven else self._anonymous(request, service, kind)
        if found[0] == "sigv2-query":
            return self._sigv2(request, bucket_in_host)
        rules = self._rules(service, kind)
        proof = self._claimed(request, found[0], rules)
        body = self._s3_body(request, proof) if kind == "s3" else self._small_body(request, proof)
        self._used(proof.credential.principal, service, proof.claim.region)
        return Admitted(proof.credential.principal, _with_body(request, body), proof.claim.region, service)

    def admit_form(self, request: Request, form: Form, bucket: str) -> Admitted:
        """As `admit`, of an upload by an HTML form to `bucket`: its proof is in its fields, and its policy holds for
        them whether it is signed or not. The request's body becomes the file, as large as the policy allows."""
        if schemes_of(request, s3=True):
            raise refusals.proof_outside_form()
        fields, now = {**form.fields, "bucket": bucket}, self._clock.now()
        found = forms.schemes_of(fields)
        if len(found) > 1:
            raise refusals.two_proofs("s3")
        principal, region = ANONYMOUS, ""
        if found:
            claim = forms.claimed(fields, found[0])
            credential = self._credential(claim.access_key, "s3")
            forms.check(claim, credential, now)
            principal, region = credential.principal, claim.region
        body: VerifiedBody = PlainBody(form.file)
        if "policy" in fields:
            policy = post_policy.read(fields["policy"])
            policy.check(fields, now)
            body = SizedBody(form.file, *policy.sizes)
        if found:
            self._used(principal, "s3", region)
        return Admitted(principal, _with_body(request, body), region, "s3")

    def admit_registry(self, request: Request, read: ReadToken) -> Admitted:
        """As `admit`, of a request to the registry: `read` opens the token that it brings, or its ticket. That is good
        as long as the key that it was given out for."""
        (secret, path), now = registry_token.proof(request), self._clock.now()
        token = read(secret)
        good = token is not None and token.path == path and now < token.expires
        credential = self._keyring.find(token.access_key) if token is not None and good else None
        if token is None or credential is None or (credential.expires is not None and credential.expires <= now):
            raise registry_token.refused("Your authorization token has expired. Reauthenticate and try again.")
        self._used(credential.principal, "ecr", token.region)
        return Admitted(credential.principal, _with_body(request, PlainBody(request.body)), token.region, "ecr")

    def _make_rules(self, service: str, kind: Family) -> Rules:
        return Rules(service, kind, self._window)

    def _anonymous(self, request: Request, service: str, kind: Family) -> Admitted:
        if kind != "s3":
            raise refusals.missing_token(kind)
        declared = request.headers.get("x-amz-content-sha256") or UNSIGNED
        return Admitted(ANONYMOUS, _with_body(request, _unsigned_body(request, declared)), "", service)

    def _unproven(self, request: Request, service: str) -> Admitted:
        body = BytesBody(_read_all(request.body, self._limit))
        return Admitted(ANONYMOUS, _with_body(request, body), "", service)

    def _sigv2(self, request: Request, bucket_in_host: str) -> Admitted:
        claim = sigv2.from_query(request, bucket_in_host)
        credential = self._credential(claim.access_key, "s3")
        merged = sigv2.verify(request, claim, credential, self._clock.now())
        self._used(credential.principal, "s3", "")
        declared = merged.headers.get("x-amz-content-sha256") or UNSIGNED
        return Admitted(credential.principal, _with_body(merged, _unsigned_body(merged, declared)), "", "s3")

    def _claimed(self, request: Request, scheme: Scheme, rules: Rules) -> _Proof:
        """The claim of a SigV4 request, checked but for its signature."""
        kind = rules.kind
        read = claims.from_query if scheme == "sigv4-query" else claims.from_header
        claim = read(request, kind)
        credential = self._credential(claim.access_key, kind)
        sigv4.check_claim(claim, credential, request, rules, self._clock.now())
        return _Proof(claim, credential, rules)

    def _credential(self, access_key: str, kind: Family) -> Credential:
        named = access_key.isascii() and access_key.isprintable()
        credential = self._keyring.find(access_key) if named else None
        if credential is None:
            raise refusals.unknown_key(kind, access_key)
        return credential

    def _check(self, request: Request, proof: _Proof, payload: str) -> bytes:
        return sigv4.check_signature(proof.claim, proof.credential, request, payload, proof.rules, self._keys)

    def _small_body(self, request: Request, proof: _Proof) -> Body:
        """The signature covers the body's own hash, whatever the head says of it: read first, then compare."""
        data = _read_all(request.body, self._limit)
        self._check(request, proof, hashlib.sha256(data).hexdigest())
        return BytesBody(data)

    def _s3_body(self, request: Request, proof: _Proof) -> VerifiedBody:
        declared = claims.single(request.fields, "x-amz-content-sha256", "s3")
        if not declared:
            if not proof.claim.presigned:
                message = "Missing required header for this request: x-amz-content-sha256"
                raise ServiceError("InvalidRequest", message, 400)
            declared = UNSIGNED
        key = self._check(request, proof, declared)
        if declared in _SIGNED_CHUNKS:
            claim = proof.claim
            chain = ChunkSignatures(key, claim.stamp, claim.scope, claim.signature, claim.access_key)
            return _chunked(request, declared, chain)
        return _unsigned_body(request, declared)


def _with_body(request: Request, body: Body) -> Request:
    # dataclasses.replace() takes as long as a signature does.
    return Request(request.method, request.target, request.headers, body, request.scheme, request.peer)


def _unsigned_body(request: Request, declared: str) -> VerifiedBody:
    """A body that no key signed byte by byte; a hash that the head declares of it holds all the same."""
    if declared == UNSIGNED:
        return PlainBody(request.body)
    if declared == _UNSIGNED_CHUNKS:
        return _chunked(request, declared, None)
    if _SHA256.fullmatch(declared):
        return HashedBody(request.body, declared)
    message = (
        f"x-amz-content-sha256 must be {UNSIGNED}, {_UNSIGNED_CHUNKS}, {_SIGNED_CHUNKS[0]}, {_SIGNED_CHUNKS[1]} "
        "or a valid sha256 value."
    )
    members = {"ArgumentName": "x-amz-content-sha256", "ArgumentValue": declared}
    raise ServiceError("InvalidArgument", message, 400, members)


def _chunked(request: Request, declared: str, chain: ChunkSignatures | None) -> ChunkedBody:
    length = request.headers.get("x-amz-decoded-content-length") or ""
    if not (length.isascii() and length.isdigit() and len(length) <= 19):
        raise ServiceError("MissingContentLength", "You must provide the Content-Length HTTP header.", 411)
    announced = frozenset[str]()
    if declared.endswith("-TRAILER"):
        named = ",".join(request.headers.all("x-amz-trailer")).lower().split(",")
        announced = frozenset(name.strip() for name in named if name.strip())
    return ChunkedBody(request.body, int(length), announced, chain)


def _read_all(body: Body, limit: int) -> bytes:
    if body.length is not None and body.length > limit:
        raise refusals.too_large(limit)
    read: Callable[[int], bytes] = body.read
    pieces, total = [], 0
    while data := read(limit + 1 - total):
        pieces.append(data)
        total += len(data)
        if total > limit:
            raise refusals.too_large(limit)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
