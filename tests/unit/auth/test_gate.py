"""The gate's errors, as each family of services words them, and bodies signed chunk by chunk."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from clary.auth import sigv4
from clary.auth.gate import Gate
from clary.errors import ServiceError
from clary.wire.messages import BytesBody, Headers, Request

STAMP, DATE = "20150830T123600Z", "20150830"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
SERVICES = {"json": ("sagemaker", "json"), "query": ("sts", "query"), "s3": ("s3", "rest-xml")}


@dataclass(frozen=True)
class Signed:
    """A request as a signer would make it, each part of it open to change."""

    service: str
    key: str = "AKIDEXAMPLE"
    secret: str = SECRET
    scope: str = ""
    stamp: str = STAMP
    token: str = ""
    payload: str = sigv4.EMPTY_HASH
    body: bytes = b""
    signed: str = ""
    extra: tuple[tuple[str, str], ...] = ()

    @property
    def full_scope(self) -> str:
        return self.scope or f"{DATE}/us-east-1/{self.service}/aws4_request"

    def signing_key(self) -> bytes:
        return sigv4.derive(self.secret, *self.full_scope.split("/")[:3])

    def headers(self) -> list[tuple[str, str]]:
        pairs = [("Host", "h"), ("X-Amz-Date", self.stamp), ("X-Amz-Content-Sha256", self.payload), *self.extra]
        return [*pairs, ("X-Amz-Security-Token", self.token)] if self.token else pairs

    def signature(self) -> str:
        by_name = {name.lower(): value for name, value in self.headers()}
        names = self.names()
        lines = "".join(f"{name}:{by_name[name]}\n" for name in names.split(";"))
        text = f"PUT\n/b/k\n\n{lines}\n{names}\n{self.payload}"
        digest = hashlib.sha256(text.encode()).hexdigest()
        to_sign = f"AWS4-HMAC-SHA256\n{self.stamp}\n{self.full_scope}\n{digest}"
        return hmac.new(self.signing_key(), to_sign.encode(), hashlib.sha256).hexdigest()

    def names(self) -> str:
        return self.signed or ";".join(sorted(name.lower() for name, _ in self.headers()))

    def request(self) -> Request:
        value = f"AWS4-HMAC-SHA256 Credential={self.key}/{self.full_scope}, SignedHeaders={self.names()}, "
        pairs = [*self.headers(), ("Authorization", f"{value}Signature={self.signature()}")]
        return Request("PUT", "/b/k", Headers(pairs), BytesBody(self.body))


def refusal(gate: Gate, kind: str, request: Request) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        gate.admit(request, *SERVICES[kind])
    return caught.value


WAYS: list[tuple[dict[str, Any], dict[str, tuple[str, int]]]] = [
    (
        {"key": "AKIDNOBODY"},
        {
            "json": ("UnrecognizedClientException", 403),
            "query": ("InvalidClientTokenId", 403),
            "s3": ("InvalidAccessKeyId", 403),
        },
    ),
    (
        {"secret": "other"},
        {
            "json": ("InvalidSignatureException", 403),
            "query": ("SignatureDoesNotMatch", 403),
            "s3": ("SignatureDoesNotMatch", 403),
        },
    ),
    (
        {"stamp": "20150830T122059Z"},
        {
            "json": ("InvalidSignatureException", 403),
            "query": ("SignatureDoesNotMatch", 403),
            "s3": ("RequestTimeTooSkewed", 403),
        },
    ),
    (
        {"stamp": "20150830T125101Z"},
        {
            "json": ("InvalidSignatureException", 403),
            "query": ("SignatureDoesNotMatch", 403),
            "s3": ("RequestTimeTooSkewed", 403),
        },
    ),
    (
        {"scope": f"{DATE}/us-east-1/elsewhere/aws4_request"},
        {
            "json": ("InvalidSignatureException", 403),
            "query": ("SignatureDoesNotMatch", 403),
            "s3": ("AuthorizationHeaderMalformed", 400),
        },
    ),
    (
        {"scope": "20150829/us-east-1/{service}/aws4_request"},
        {
            "json": ("InvalidSignatureException", 403),
            "query": ("SignatureDoesNotMatch", 403),
            "s3": ("AuthorizationHeaderMalformed", 400),
        },
    ),
    (
        {"token": "a token nobody asked for"},
        {
            "json": ("UnrecognizedClientException", 403),
            "query": ("InvalidClientTokenId", 403),
            "s3": ("InvalidToken", 400),
        },
    ),
    (
        {"key": "ASIDEXAMPLE"},
        {
            "json": ("UnrecognizedClientException", 403),
            "query": ("InvalidClientTokenId", 403),
            "s3": ("InvalidToken", 400),
        },
    ),
    (
        {"signed": "x-amz-content-sha256;x-amz-date"},
        {
            "json": ("InvalidSignatureException", 403),
            "query": ("SignatureDoesNotMatch", 403),
            "s3": ("AccessDenied", 403),
        },
    ),
    (
        {"signed": "host;x-amz-content-sha256"},
        {
            "json": ("InvalidSignatureException", 403),
            "query": ("SignatureDoesNotMatch", 403),
            "s3": ("AccessDenied", 403),
        },
    ),
    (
        {"body": b"another body"},
        {
            "json": ("InvalidSignatureException", 403),
            "query": ("SignatureDoesNotMatch", 403),
        },
    ),
]


@pytest.mark.parametrize(("changes", "codes"), WAYS, ids=[",".join(map(str, way)) for way, _ in WAYS])
def test_refusals(gate: Gate, changes: dict[str, Any], codes: dict[str, tuple[str, int]]) -> None:
    for kind, expected in codes.items():
        service = SERVICES[kind][0]
        given = {name: value.format(service=service) if name == "scope" else value for name, value in changes.items()}
        good = Signed(service)
        assert gate.admit(good.request(), *SERVICES[kind]).principal.kind == "root"
        error = refusal(gate, kind, replace(good, **given).request())
        assert (error.code, error.status) == expected


@pytest.mark.parametrize("kind", ["json", "query", "s3"])
def test_expired_session(gate: Gate, kind: str, time: Any) -> None:
    good = Signed(SERVICES[kind][0], key="ASIDEXAMPLE", token="the/session+token==").request()
    gate.admit(good, *SERVICES[kind])
    time.at += 600
    codes = {"json": "ExpiredTokenException", "query": "ExpiredToken", "s3": "ExpiredToken"}
    assert refusal(gate, kind, good).code == codes[kind]


def test_nobody(gate: Gate) -> None:
    request = Request("GET", "/b/k", Headers([("Host", "h")]))
    assert gate.admit(request, "s3", "rest-xml").principal.kind == "anonymous"
    assert refusal(gate, "json", request).code == "MissingAuthenticationTokenException"
    assert refusal(gate, "query", request).code == "MissingAuthenticationToken"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("AWS AKIDEXAMPLE:abc=", "InvalidRequest"),
        ("Bearer x", "InvalidArgument"),
        ("AWS4-HMAC-SHA256 Credential=x", "AuthorizationHeaderMalformed"),
        (
            f"AWS4-HMAC-SHA256 Credential=a/{DATE}/us-east-1/s3/aws4, SignedHeaders=host, Signature=0",
            "AuthorizationHeaderMalformed",
        ),
    ],
)
def test_malformed_header(gate: Gate, value: str, code: str) -> None:
    headers = Headers([("Host", "h"), ("X-Amz-Date", STAMP), ("Authorization", value)])
    request = Request("GET", "/b/k", headers)
    assert refusal(gate, "s3", request).code == code
    assert refusal(gate, "json", request).code in ("IncompleteSignatureException", "InvalidSignatureException")


def test_two_proofs(gate: Gate) -> None:
    good = Signed("s3").request()
    twice = Headers([*good.headers.pairs, ("Authorization", good.headers.get("authorization") or "")])
    assert refusal(gate, "s3", replace(good, headers=twice)).code == "InvalidArgument"
    for query in ("X-Amz-Algorithm=AWS4-HMAC-SHA256", "AWSAccessKeyId=AKIDEXAMPLE&Signature=x&Expires=1"):
        assert refusal(gate, "s3", replace(good, target=f"/b/k?{query}")).code == "InvalidArgument"


@pytest.mark.parametrize("expires", ["0", "-1", "604801", "x", "9" * 30, ""])
def test_presigned_expiry(gate: Gate, expires: str) -> None:
    query = (
        f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F{DATE}%2Fus-east-1%2Fs3%2Faws4_request"
        f"&X-Amz-Date={STAMP}&X-Amz-Expires={expires}&X-Amz-SignedHeaders=host&X-Amz-Signature=0"
    )
    request = Request("GET", f"/b/k?{query}", Headers([("Host", "h")]))
    assert refusal(gate, "s3", request).code == "AuthorizationQueryParametersError"


def test_s3_wants_the_payload_hash(gate: Gate) -> None:
    request = Signed("s3", signed="host;x-amz-date").request()
    pairs = [pair for pair in request.headers.pairs if pair[0] != "X-Amz-Content-Sha256"]
    assert refusal(gate, "s3", replace(request, headers=Headers(pairs))).code == "InvalidRequest"
    assert refusal(gate, "s3", Signed("s3", payload="STREAMING-SOMETHING").request()).code == "InvalidArgument"
    assert refusal(gate, "s3", Signed("s3", payload="0" * 64).request()).code == "XAmzContentSHA256Mismatch"
    free = gate.admit(Signed("s3", payload="UNSIGNED-PAYLOAD", body=b"x").request(), "s3", "rest-xml")
    assert free.request.body.read() == b"x"


def test_body_limit(make_gate: Callable[..., Gate]) -> None:
    gate = make_gate(payload_limit_bytes=10)
    ten = Signed("sts", payload=hashlib.sha256(b"0123456789").hexdigest(), body=b"0123456789")
    assert gate.admit(ten.request(), "sts", "query").request.body.read() == b"0123456789"
    assert refusal(gate, "query", replace(ten, body=b"0123456789x").request()).status == 413


def chunked(chunks: list[bytes], trailers: dict[str, str]) -> tuple[Signed, bytes]:
    """A body signed chunk by chunk, the last chunk empty, and the request that carries it."""
    payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" + ("-TRAILER" if trailers else "")
    extra = [("X-Amz-Decoded-Content-Length", str(sum(map(len, chunks))))]
    if trailers:
        extra.append(("X-Amz-Trailer", ",".join(trailers)))
    signed = Signed("s3", payload=payload, extra=tuple(extra))
    previous, key, body = signed.signature(), signed.signing_key(), b""

    def sign(kind: str, what: str) -> str:
        text = f"AWS4-HMAC-SHA256-{kind}\n{STAMP}\n{signed.full_scope}\n{previous}\n{what}"
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

    for chunk in [*chunks, b""]:
        previous = sign("PAYLOAD", f"{sigv4.EMPTY_HASH}\n{hashlib.sha256(chunk).hexdigest()}")
        body += f"{len(chunk):x};chunk-signature={previous}\r\n".encode() + chunk + (b"\r\n" if chunk else b"")
    if trailers:
        lines = "".join(f"{name}:{value}\n" for name, value in sorted(trailers.items()))
        proof = sign("TRAILER", hashlib.sha256(lines.encode()).hexdigest())
        body += lines.replace("\n", "\r\n").encode() + f"x-amz-trailer-signature:{proof}\r\n".encode()
    return signed, body + b"\r\n"


@pytest.mark.parametrize("trailers", [{}, {"x-amz-checksum-crc32": "sOO8/Q=="}], ids=["plain", "trailer"])
@pytest.mark.parametrize("step", [1, 7, 4096, -1])
def test_signed_chunks(gate: Gate, step: int, trailers: dict[str, str]) -> None:
    chunks = [b"a" * 8192, b"b" * 9000, b"c"]
    signed, raw = chunked(chunks, trailers)
    body: Any = gate.admit(replace(signed, body=raw).request(), "s3", "rest-xml").request.body
    pieces = []
    while data := body.read(step):
        pieces.append(data)
    assert b"".join(pieces) == b"".join(chunks)
    assert body.length == 17193
    assert body.trailers == trailers


@pytest.mark.parametrize("trailers", [{}, {"x-amz-checksum-crc32": "sOO8/Q=="}], ids=["plain", "trailer"])
def test_signed_chunks_changed(gate: Gate, trailers: dict[str, str]) -> None:
    signed, raw = chunked([b"a" * 40, b"b" * 30], trailers)
    for at in range(len(raw)):
        # The case of a size, a name or a blank around it is nobody's to sign; what they say is.
        if not chr(raw[at]).isalnum():
            continue
        changed = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        body = gate.admit(replace(signed, body=changed).request(), "s3", "rest-xml").request.body
        with pytest.raises(ServiceError):
            body.read()
            pytest.fail(f"accepted after a change at {at}: {changed!r}")


def test_signed_chunks_out_of_order_or_missing(gate: Gate) -> None:
    signed, raw = chunked([b"a" * 40, b"b" * 40], {})
    size = raw.index(b"\r\n") + 2 + 40 + 2
    first, second, rest = raw[:size], raw[size : 2 * size], raw[2 * size :]
    for forged in (second + first + rest, first + rest, first + second, first + first + rest, raw + b"0"):
        body = gate.admit(replace(signed, body=forged).request(), "s3", "rest-xml").request.body
        with pytest.raises(ServiceError):
            body.read()
            pytest.fail(f"accepted {forged!r}")


def test_the_last_byte_comes_with_the_proof(gate: Gate) -> None:
    """A caller that stops at the declared length has met the forged end already."""
    signed, raw = chunked([b"a" * 40], {"x-amz-checksum-crc32": "sOO8/Q=="})
    forged = raw.replace(b"sOO8", b"sOO9")
    body = gate.admit(replace(signed, body=forged).request(), "s3", "rest-xml").request.body
    assert body.read(39) == b"a" * 39
    with pytest.raises(ServiceError):
        body.read(1)
