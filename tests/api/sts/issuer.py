"""An OpenID Connect issuer: discovery, keys and tokens, over a real socket."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from api.port import port
from clary.wire.messages import Request, Response


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _number(value: int) -> str:
    return _text(value.to_bytes((value.bit_length() + 7) // 8))


class Issuer:
    """`published` are the keys that it shows; `url` is where it is, `asked` how often it was asked."""

    url = ""
    asked = 0

    def __init__(self) -> None:
        self.rsa = rsa.generate_private_key(65537, 2048)
        self.curve = ec.generate_private_key(ec.SECP256R1())
        of_rsa, of_curve = self.rsa.public_key().public_numbers(), self.curve.public_key().public_numbers()
        self.published: list[dict[str, Any]] = [
            {"kty": "RSA", "kid": "one", "use": "sig", "n": _number(of_rsa.n), "e": _number(of_rsa.e)},
            {"kty": "EC", "kid": "two", "crv": "P-256", "x": _number(of_curve.x), "y": _number(of_curve.y)},
        ]

    def answer(self, request: Request) -> Response:
        self.asked += 1
        documents = {
            "/.well-known/openid-configuration": {"issuer": self.url, "jwks_uri": f"{self.url}/keys"},
            "/keys": {"keys": self.published},
        }
        document = documents.get(request.path)
        return Response(404 if document is None else 200, [], json.dumps(document).encode())

    def token(self, algorithm: str = "RS256", **claims: Any) -> str:
        """Signed with the key that fits; another algorithm's signature is empty."""
        key = {"RS256": "one", "ES256": "two"}.get(algorithm, "one")
        head = _text(json.dumps({"alg": algorithm, "kid": key}).encode())
        signed = f"{head}.{_text(json.dumps(claims).encode())}"
        return f"{signed}.{_text(self._sign(algorithm, signed.encode()))}"

    def _sign(self, algorithm: str, signed: bytes) -> bytes:
        if algorithm == "RS256":
            return self.rsa.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        if algorithm == "ES256":
            r, s = decode_dss_signature(self.curve.sign(signed, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(32) + s.to_bytes(32)
        return b""


@contextmanager
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    with port(made.answer) as made.url:
        yield made
