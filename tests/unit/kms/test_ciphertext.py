"""Ciphertext blobs: every one comes back, and no changed bit goes unnoticed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.errors import ServiceError
from clary.secrets import RootKey
from clary.services.kms import ciphertext, material
from clary.services.kms.specs import SPECS, SYMMETRIC
from clary.store.records import Record
from thorough import examples

ROOT = RootKey(bytes(range(32)))
ACCOUNT, KEY_ID = "123456789012", "1234abcd-12ab-34cd-56ef-1234567890ab"
SPEC = SPECS[SYMMETRIC]
CONTEXTS = st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=4)


def record(*materials: material.Material) -> Record:
    document: dict[str, Any] = {"KeyId": KEY_ID, "Materials": list(materials)}
    return Record("kms-key", ACCOUNT, "us-east-1", "arn", KEY_ID, "", 0.0, 0.0, document)


KEY = record(material.material(ROOT, ACCOUNT, KEY_ID, SPEC, bytes(32), 0.0))


@given(st.binary(max_size=4096), CONTEXTS)
def test_what_is_encrypted_is_decrypted(plaintext: bytes, context: dict[str, str]) -> None:
    blob = ciphertext.encrypt(ROOT, KEY, plaintext, context)
    read = ciphertext.read(blob)
    assert (read.account, read.key_id) == (ACCOUNT, KEY_ID)
    assert ciphertext.decrypt(ROOT, KEY, read, context) == plaintext


@settings(max_examples=examples(300))
@given(st.binary(max_size=100), CONTEXTS, st.data())
def test_one_changed_bit_is_refused(plaintext: bytes, context: dict[str, str], data: st.DataObject) -> None:
    blob = bytearray(ciphertext.encrypt(ROOT, KEY, plaintext, context))
    bit = data.draw(st.integers(0, 8 * len(blob) - 1))
    blob[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ServiceError) as caught:
        ciphertext.decrypt(ROOT, KEY, ciphertext.read(bytes(blob)), context)
    assert (caught.value.code, caught.value.message) == ("InvalidCiphertextException", "")


@given(CONTEXTS, CONTEXTS)
def test_contexts_are_bound_alike_only_when_they_are_alike(one: dict[str, str], two: dict[str, str]) -> None:
    assert (ciphertext.bound(one) == ciphertext.bound(two)) == (one == two)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        ciphertext.decrypt(ROOT, KEY, ciphertext.read(data), {})
    except ServiceError as error:
        assert error.code == "InvalidCiphertextException"


def test_material_is_bound_to_its_key() -> None:
    """A record's sealed material moved into another key's record does not open there."""
    (kept,) = KEY.document["Materials"]
    thief = Record("kms-key", ACCOUNT, "us-east-1", "arn", "other", "", 0.0, 0.0, {"KeyId": "other"})
    with pytest.raises(Exception, match="another context"):
        material.unseal(ROOT, thief, kept)


def test_the_same_material_has_the_same_name_for_one_key_only() -> None:
    assert material.identity(ROOT, KEY_ID, bytes(32)) == KEY.document["Materials"][0]["Id"]
    assert material.identity(ROOT, "other", bytes(32)) != KEY.document["Materials"][0]["Id"]
    assert material.identity(RootKey(bytes(32)), KEY_ID, bytes(32)) != KEY.document["Materials"][0]["Id"]
