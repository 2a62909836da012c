"""Ciphertexts of symmetric keys: they say by themselves which key and which of its materials open them.

A blob is `version (1 byte) | account (12 digits) | length of the key id (1) | key id | material id (32) | sealed text`,
where the sealed text (secrets/sealing.py) is bound to all that comes before it and to the encryption context.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clary.secrets import RootKey, SealBroken, SealingKey
from clary.services.kms import faults, material
from clary.services.kms.material import Material
from clary.store.records import Record

_VERSION = b"\x01"
_ACCOUNT, _MATERIAL = 12, 32


@dataclass(frozen=True, slots=True)
class Blob:
    """A ciphertext, read. `head` is what the sealed text is bound to."""

    account: str
    key_id: str
    material_id: str
    head: bytes
    sealed: bytes


def encrypt(root: RootKey, record: Record, plaintext: bytes, context: Mapping[str, str]) -> bytes:
    """A blob, under the key's current material."""
    kept = material.current(record)
    head = _head(record.account, record.document["KeyId"], kept["Id"])
    return head + _key(root, record, kept).seal(plaintext, head + bound(context))


def decrypt(root: RootKey, record: Record, blob: Blob, context: Mapping[str, str]) -> bytes:
    """Raises InvalidCiphertextException."""
    kept = material.by_id(record, blob.material_id)
    if kept is None or kept["Sealed"] is None:
        raise faults.bad_ciphertext()
    try:
        return _key(root, record, kept).open(blob.sealed, blob.head + bound(context))
    except SealBroken:
        raise faults.bad_ciphertext() from None


def read(data: bytes) -> Blob:
    """Raises InvalidCiphertextException for what is no blob of ours."""
    start = len(_VERSION) + _ACCOUNT
    if data[:1] != _VERSION or len(data) <= start:
        raise faults.bad_ciphertext()
    end = start + 1 + data[start]
    head, sealed = data[: end + _MATERIAL], data[end + _MATERIAL :]
    try:
        account, key_id = data[1:start].decode("ascii"), data[start + 1 : end].decode("ascii")
    except UnicodeDecodeError:
        raise faults.bad_ciphertext() from None
    return Blob(account, key_id, head[end:].hex(), head, sealed)


def bound(context: Mapping[str, str]) -> bytes:
    """An encryption context as bytes: the same for the same pairs in any order, and for no others."""
    pairs = sorted((key.encode("utf-8", "surrogatepass"), value) for key, value in context.items())
    texts = [text for key, value in pairs for text in (key, value.encode("utf-8", "surrogatepass"))]
    return b"".join(len(text).to_bytes(4, "big") + text for text in texts)


def _head(account: str, key_id: str, material_id: str) -> bytes:
    name = key_id.encode()
    return _VERSION + account.encode() + bytes([len(name)]) + name + bytes.fromhex(material_id)


def _key(root: RootKey, record: Record, kept: Material) -> SealingKey:
    return SealingKey(material.unseal(root, record, kept))
