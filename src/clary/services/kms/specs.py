"""Key specs: what kind of material a key has, and which usages and algorithms go with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from clary.services.kms import faults

Family = Literal["symmetric", "hmac", "rsa", "ecc", "edwards"]

ENCRYPT, SIGN, MAC, AGREE = "ENCRYPT_DECRYPT", "SIGN_VERIFY", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT"
SYMMETRIC = "SYMMETRIC_DEFAULT"

# The member of a key's metadata that lists the algorithms of its usage.
MEMBERS: Mapping[str, str] = {
    ENCRYPT: "EncryptionAlgorithms",
    SIGN: "SigningAlgorithms",
    MAC: "MacAlgorithms",
    AGREE: "KeyAgreementAlgorithms",
}

_RSA_SIGNING = tuple(
    f"RSASSA_{padding}_SHA_{bits}" for padding in ("PKCS1_V1_5", "PSS") for bits in ("256", "384", "512")
)
HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "1": hashes.SHA1(),  # of OAEP, where AWS offers it
    "224": hashes.SHA224(),
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}


@dataclass(frozen=True, slots=True)
class Spec:
    """`size` is bits of an RSA modulus, bytes of a symmetric or HMAC key; `algorithms` are by usage."""

    name: str
    family: Family
    algorithms: Mapping[str, tuple[str, ...]]
    size: int = 0
    curve: ec.EllipticCurve | None = None


def _ecc(name: str, curve: ec.EllipticCurve, bits: str, agrees: bool = True) -> Spec:
    algorithms = {SIGN: (f"ECDSA_SHA_{bits}",)} | ({AGREE: ("ECDH",)} if agrees else {})
    return Spec(name, "ecc", algorithms, curve=curve)


_RSA = {ENCRYPT: ("RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"), SIGN: _RSA_SIGNING}
SPECS: Mapping[str, Spec] = {
    spec.name: spec
    for spec in (
        Spec(SYMMETRIC, "symmetric", {ENCRYPT: (SYMMETRIC,)}, 32),
        *(Spec(f"RSA_{bits}", "rsa", _RSA, bits) for bits in (2048, 3072, 4096)),
        _ecc("ECC_NIST_P256", ec.SECP256R1(), "256"),
        _ecc("ECC_NIST_P384", ec.SECP384R1(), "384"),
        _ecc("ECC_NIST_P521", ec.SECP521R1(), "512"),
        _ecc("ECC_SECG_P256K1", ec.SECP256K1(), "256", agrees=False),
        Spec("ECC_NIST_EDWARDS25519", "edwards", {SIGN: ("ED25519_SHA_512",)}),
        *(Spec(f"HMAC_{bits}", "hmac", {MAC: (f"HMAC_SHA_{bits}",)}, bits // 8) for bits in (224, 256, 384, 512)),
    )
}


def spec_of(operation: str, name: str) -> Spec:
    """Raises ServiceError for specs that are AWS's and not built (SM2, ML-DSA, ML-KEM)."""
    if name not in SPECS:
        raise faults.not_built(operation, f"KeySpec {name}")
    return SPECS[name]


def usage_of(spec: Spec, given: str | None) -> str:
    """The usage of a new key. Raises ValidationException where it does not go with the spec."""
    if given is None and spec.family != "symmetric":
        raise faults.invalid("You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.")
    usage = given or ENCRYPT
    if usage not in spec.algorithms:
        raise faults.invalid(f"KeyUsage {usage} is not compatible with KeySpec {spec.name}")
    return usage


def hash_of(algorithm: str) -> hashes.HashAlgorithm:
    """The hash that an algorithm's name ends with."""
    return HASHES[algorithm.rpartition("_")[2]]
