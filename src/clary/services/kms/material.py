"""Key material: drawn or imported, kept sealed under the root key, opened for one operation at a time.

A key's document holds its materials as a list, the oldest first; one of them is CURRENT. Each is
`{"Id", "Sealed", "State", "Since"}` and, where it applies, `Rotation` (how it became current), `Public` (of a key pair,
DER), and of imported material `ExpirationModel`, `ValidTo`, `Description`. `Sealed` is None when imported material has
expired or was deleted.
"""

from __future__ import annotations

import base64
import os
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from clary.secrets import RootKey
from clary.services.kms.specs import Spec
from clary.store.records import Record

Material = dict[str, Any]
KeyPair = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

CURRENT, NON_CURRENT, PENDING = "CURRENT", "NON_CURRENT", "PENDING_ROTATION"
_EXPONENT = 65537


def draw(spec: Spec) -> bytes:
    """New material: random bytes, or a key pair as PKCS #8 (DER)."""
    match spec.family:
        case "symmetric" | "hmac":
            return os.urandom(spec.size)
        case "rsa":
            return private_bytes(rsa.generate_private_key(_EXPONENT, spec.size))
        case "edwards":
            return private_bytes(ed25519.Ed25519PrivateKey.generate())
        case "ecc":
            assert spec.curve is not None
            return private_bytes(ec.generate_private_key(spec.curve))


def private_bytes(pair: KeyPair) -> bytes:
    return pair.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_bytes(pair: KeyPair) -> bytes:
    return pair.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def key_pair(raw: bytes) -> KeyPair:
    """A key pair that this server drew or checked: it is not checked again."""
    pair = serialization.load_der_private_key(raw, None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(pair, KeyPair)
    return pair


def material(root: RootKey, account: str, key_id: str, spec: Spec, raw: bytes, now: float) -> Material:
    """As the key's document keeps it."""
    kept: Material = {"Id": identity(root, key_id, raw), "State": CURRENT, "Since": now}
    kept["Sealed"] = seal(root, account, key_id, kept["Id"], raw)
    if spec.family not in ("symmetric", "hmac"):
        kept["Public"] = base64.b64encode(public_bytes(key_pair(raw))).decode()
    return kept


def identity(root: RootKey, key_id: str, raw: bytes) -> str:
    """AWS's KeyMaterialId: 64 hexadecimal digits, the same for the same material of the same key."""
    return root.digest(raw, f"kms material {key_id}".encode()).hex()


def seal(root: RootKey, account: str, key_id: str, material_id: str, raw: bytes) -> str:
    return base64.b64encode(root.seal(raw, _context(account, key_id, material_id))).decode()


def unseal(root: RootKey, record: Record, kept: Material) -> bytes:
    """The material itself. Raises SealBroken when the store was changed by somebody else's hand."""
    context = _context(record.account, record.document["KeyId"], kept["Id"])
    return root.open(base64.b64decode(kept["Sealed"]), context)


def _context(account: str, key_id: str, material_id: str) -> bytes:
    return f"kms {account} {key_id} {material_id}".encode()


def current(record: Record) -> Material:
    """The material that encrypts and signs. The key is usable, so there is one."""
    return next(each for each in record.document["Materials"] if each["State"] == CURRENT)


def current_id(document: dict[str, Any]) -> str | None:
    return next((each["Id"] for each in document["Materials"] if each["State"] == CURRENT), None)


def by_id(record: Record, material_id: str) -> Material | None:
    return next((each for each in record.document["Materials"] if each["Id"] == material_id), None)


def public(record: Record) -> bytes:
    """The public half of a key pair, DER. Not secret, so that nothing has to be unsealed for it."""
    return base64.b64decode(current(record)["Public"])
