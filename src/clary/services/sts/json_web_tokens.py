"""JSON Web Tokens as identity providers sign them: taken apart, and verified with a key of the issuer's."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

_HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}
# Of an algorithm of elliptic curves: the curve, as its name in a key and in `cryptography`, and its size in bytes.
_CURVES: Mapping[str, tuple[str, Callable[[], ec.EllipticCurve], int]] = {
    "ES256": ("P-256", ec.SECP256R1, 32),
    "ES384": ("P-384", ec.SECP384R1, 48),
    "ES512": ("P-521", ec.SECP521R1, 66),
}
_LEAST_RSA_BITS = 2048


class InvalidToken(Exception):
    """The text is no token, or its signature is none of the keys'."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token taken apart; `claims` are proven by `verify` alone."""

    algorithm: str
    key_id: str
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes


def read(text: str) -> Token:
    """Raises InvalidToken."""
    parts = text.split(".")
    if len(parts) != 3:
        raise InvalidToken("a token has three parts")
    try:
        header, claims = (json.loads(_decoded(part)) for part in parts[:2])
        signature = _decoded(parts[2])
    except (ValueError, RecursionError):
        raise InvalidToken("the parts of a token are base64url, and two of them JSON") from None
    if not isinstance(header, dict) or not isinstance(claims, dict) or "crit" in header:
        raise InvalidToken("not a token that could be understood")
    algorithm, key_id = header.get("alg"), header.get("kid", "")
    if not isinstance(algorithm, str) or not isinstance(key_id, str):
        raise InvalidToken("a token names its algorithm and its key")
    return Token(algorithm, key_id, claims, f"{parts[0]}.{parts[1]}".encode(), signature)


def verify(token: Token, keys: Sequence[Mapping[str, Any]]) -> None:
    """`keys` as in a JSON Web Key Set; those that cannot be read, or are not for signatures, are passed over. Raises
    InvalidToken."""
    for key in keys:
        if token.key_id and key.get("kid", token.key_id) != token.key_id:
            continue
        if key.get("use", "sig") != "sig" or key.get("alg", token.algorithm) != token.algorithm:
            continue
        try:
            _verify(token, key)
        except (InvalidSignature, ValueError, KeyError, TypeError):
            continue
        return
    raise InvalidToken("no key of the issuer made this signature")


def _verify(token: Token, key: Mapping[str, Any]) -> None:
    """Raises InvalidSignature, and ValueError, KeyError or TypeError for a key that does not fit. The algorithm is the
    token's word, the kind of key the issuer's: only pairs that belong together are tried."""
    kind, digest = token.algorithm[:2], _HASHES[token.algorithm[2:]]
    if kind == "ES" and key["kty"] == "EC":
        _verify_on_curve(token, key, digest)
        return
    if key["kty"] != "RSA":
        raise ValueError("no key for this algorithm")
    public = rsa.RSAPublicNumbers(_number(key["e"]), _number(key["n"])).public_key()
    if public.key_size < _LEAST_RSA_BITS:
        raise ValueError("the key is too small")
    paddings: Mapping[str, padding.AsymmetricPadding] = {
        "RS": padding.PKCS1v15(),
        "PS": padding.PSS(padding.MGF1(digest), padding.PSS.DIGEST_LENGTH),
    }
    public.verify(token.signature, token.signed, paddings[kind], digest)


def _verify_on_curve(token: Token, key: Mapping[str, Any], digest: hashes.HashAlgorithm) -> None:
    name, curve, size = _CURVES[token.algorithm]
    if key["crv"] != name or len(token.signature) != 2 * size:
        raise ValueError("the key is on another curve")
    numbers = ec.EllipticCurvePublicNumbers(_number(key["x"]), _number(key["y"]), curve())
    r, s = (int.from_bytes(half) for half in (token.signature[:size], token.signature[size:]))
    numbers.public_key().verify(encode_dss_signature(r, s), token.signed, ec.ECDSA(digest))


def _number(text: str) -> int:
    return int.from_bytes(_decoded(text))


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
