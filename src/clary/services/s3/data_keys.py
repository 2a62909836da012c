"""The keys of encrypted objects: each has one of its own, which its row holds sealed.

Sealed under the server's root key (SSE-S3), by KMS (SSE-KMS), or under a key that the client alone has (SSE-C) and that
is kept nowhere: that it opens the seal is what shows that it is the right one. A seal is bound to the bucket and key of
its object. With an S3 Bucket Key, what KMS sealed is a key of the bucket, shared by the objects that came within one
window of time (clary.secrets.kept); the object's own is derived from it.

What the row holds (`Stored`): {Algorithm, Key}, of SSE-KMS {KeyId, Context, BucketKey} besides, with a bucket key the
{Salt} of the derivation.
"""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from clary.auth.policy import Caller
from clary.auth.principals import ANONYMOUS, Principal
from clary.context import Platform
from clary.errors import ServiceError
from clary.objects.damage import Damaged
from clary.objects.encrypted import Cipher
from clary.secrets.sealing import SealBroken, SealingKey
from clary.services.kms import envelope
from clary.services.kms.envelope import Behalf
from clary.services.operation import Call
from clary.services.s3 import faults
from clary.services.s3.encryption_asked import AES256, CUSTOMER, KMS, Asked

Stored = dict[str, Any]

_KEY_BYTES, _SALT_BYTES = 32, 32
_ARN = "aws:s3:arn"  # the encryption context that S3 itself gives


@dataclass(frozen=True, slots=True)
class Asker:
    """On whose behalf KMS is asked; without a `caller` it has been decided that he may."""

    platform: Platform
    principal: Principal
    caller: Caller | None = None

    @classmethod
    def of(cls, call: Call) -> Asker:
        return cls(call.platform, call.principal, call.caller)

    def behalf(self, region: str) -> Behalf:
        """Towards KMS; `region` is where the key is."""
        return Behalf(self.platform, self.principal, self.caller, region=region)


@dataclass(frozen=True, slots=True)
class Encryption:
    """How one object is encrypted: what its row holds, and the opened key."""

    stored: Stored
    cipher: Cipher

    def etag(self, md5: str) -> str:
        """As in S3, the MD5 of what is encrypted under a key of the client or of KMS is not told."""
        return md5 if self.stored["Algorithm"] == AES256 else secrets.token_hex(16)


def begin(asker: Asker, bucket: str, key: bytes, asked: Asked | None) -> Encryption | None:
    """A new key, as it was asked for. Raises S3's errors, among them those of KMS."""
    if asked is None:
        return None
    about = _about(bucket, key)
    if asked.algorithm == KMS:
        return _by_kms(asker, bucket, key, asked)
    plain = os.urandom(_KEY_BYTES)
    sealing = SealingKey(asked.customer_key) if asked.algorithm == CUSTOMER else asker.platform.secrets
    sealed = base64.b64encode(sealing.seal(plain, about)).decode()
    return Encryption({"Algorithm": asked.algorithm, "Key": sealed}, Cipher(plain, about))


def resume(
    asker: Asker, bucket: str, key: bytes, stored: Mapping[str, Any] | None, customer_key: bytes | None
) -> Encryption | None:
    """The key of what is there; None where that is not encrypted. Raises S3's errors (for a client's key that is
    missing, wrong, or not asked for; KMS's); Damaged when the seal is."""
    check_customers(stored, customer_key)
    if stored is None:
        return None
    about, sealed = _about(bucket, key), base64.b64decode(stored["Key"])
    if stored["Algorithm"] == KMS:
        plain = _opened_by_kms(asker, stored, sealed, about)
    elif customer_key is not None:
        plain = _opened_by_customer(customer_key, sealed, about)
    else:
        with _damage():
            plain = asker.platform.secrets.open(sealed, about)
    return Encryption(dict(stored), Cipher(plain, about))


def prove(
    asker: Asker,
    bucket: str,
    key: bytes,
    stored: Mapping[str, Any] | None,
    customer_key: bytes | None,
    *,
    kms: bool = False,
) -> None:
    """What is asked of who is not given the bytes: a client's key has to be right; with `kms` also that he may decrypt
    with the KMS key. Raises as `resume` does."""
    if customer_key is not None or (kms and stored is not None and stored["Algorithm"] == KMS):
        resume(asker, bucket, key, stored, customer_key)
    else:
        check_customers(stored, None)


def by_customer(stored: Mapping[str, Any] | None) -> bool:
    """Whether it takes a key of the client to read it."""
    return stored is not None and stored["Algorithm"] == CUSTOMER


def check_customers(stored: Mapping[str, Any] | None, customer_key: bytes | None) -> None:
    """Raises InvalidRequest unless a client's key comes with the request exactly where there has to be one."""
    needed = by_customer(stored)
    if needed and customer_key is None:
        raise faults.invalid_request(
            "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to "
            "retrieve the object."
        )
    if customer_key is not None and not needed:
        raise faults.invalid_request("The encryption parameters are not applicable to this object.")


def shown(stored: Mapping[str, Any] | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """As members of an answer to a request of the members `given`."""
    if stored is None:
        return {}
    if by_customer(stored):
        return {name: given[name] for name in ("SSECustomerAlgorithm", "SSECustomerKeyMD5") if name in given}
    told: dict[str, Any] = {"ServerSideEncryption": stored["Algorithm"]}
    if stored["Algorithm"] == KMS:
        told["SSEKMSKeyId"] = stored["KeyId"]
        if "SSEKMSEncryptionContext" in given:
            told["SSEKMSEncryptionContext"] = given["SSEKMSEncryptionContext"]
        if stored["BucketKey"]:
            told["BucketKeyEnabled"] = True
    return told


def _about(bucket: str, key: bytes) -> bytes:
    return b"s3 object\0" + bucket.encode() + b"\0" + key


def _by_kms(asker: Asker, bucket: str, key: bytes, asked: Asked) -> Encryption:
    resource = f"arn:aws:s3:::{bucket}" if asked.bucket_key else f"arn:aws:s3:::{bucket}/{key.decode()}"
    if asked.context.get(_ARN, resource) != resource:
        raise faults.invalid_argument(f"The encryption context's {_ARN} is not this object's.", _ARN, resource)
    context = {**asked.context, _ARN: resource}
    about, salt = _about(bucket, key), os.urandom(_SALT_BYTES)
    with _kms_errors(asker):
        behalf = asker.behalf(asked.region)
        made, arn = envelope.generate(behalf, asked.key_id or "alias/aws/s3", context, kept=asked.bucket_key)
    sealed = base64.b64encode(made.sealed).decode()
    stored = {"Algorithm": KMS, "Key": sealed, "KeyId": arn, "Context": context, "BucketKey": asked.bucket_key}
    if not asked.bucket_key:
        return Encryption(stored, Cipher(made.plaintext, about))
    stored["Salt"] = base64.b64encode(salt).decode()
    return Encryption(stored, Cipher(_derived(made.plaintext, salt, about), about))


def _opened_by_kms(asker: Asker, stored: Mapping[str, Any], sealed: bytes, about: bytes) -> bytes:
    region, salt = stored["KeyId"].split(":")[3], stored.get("Salt")
    with _kms_errors(asker):
        plain = envelope.unwrap(asker.behalf(region), sealed, stored["Context"], kept=salt is not None)
    return plain if salt is None else _derived(plain, base64.b64decode(salt), about)


def _derived(bucket_key: bytes, salt: bytes, about: bytes) -> bytes:
    """The key of one object."""
    return HKDF(SHA256(), _KEY_BYTES, salt, about).derive(bucket_key)


def _opened_by_customer(customer_key: bytes, sealed: bytes, about: bytes) -> bytes:
    try:
        return SealingKey(customer_key).open(sealed, about)
    except SealBroken:
        raise faults.access_denied() from None


@contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    except SealBroken as error:
        raise Damaged(f"the key of an object does not open: {error}") from None


@contextmanager
def _kms_errors(asker: Asker) -> Iterator[None]:
    """KMS's errors as S3 tells them."""
    if asker.principal == ANONYMOUS:  # nobody's keys
        raise faults.access_denied()
    try:
        yield
    except ServiceError as error:
        if error.code == "AccessDeniedException":
            raise ServiceError("AccessDenied", error.message, 403) from None
        if error.code == "InvalidCiphertextException":
            raise Damaged("the key of an object does not open: KMS did not encrypt it so") from None
        raise ServiceError(f"KMS.{error.code}", error.message, 400) from None
