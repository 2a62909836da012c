"""Rotation by period and on demand; material brought from outside, which may expire and be taken away again."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_public_key,
)

from api.kms.refused import code, refusal
from clary.testing.frozen_clock import FrozenClock

DAY = 86_400.0
STAYS = "KEY_MATERIAL_DOES_NOT_EXPIRE"


def test_old_ciphertexts_open_after_a_rotation(kms: Any) -> None:
    key = kms.create_key()["KeyMetadata"]
    blobs = [kms.encrypt(KeyId=key["KeyId"], Plaintext=b"0")["CiphertextBlob"]]
    assert kms.list_key_rotations(KeyId=key["KeyId"])["Rotations"] == []
    for number in (1, 2, 3):
        assert kms.rotate_key_on_demand(KeyId=key["KeyId"])["KeyId"] == key["Arn"]
        blobs.append(kms.encrypt(KeyId=key["KeyId"], Plaintext=b"%d" % number)["CiphertextBlob"])
    opened = [kms.decrypt(CiphertextBlob=blob) for blob in blobs]
    assert [each["Plaintext"] for each in opened] == [b"0", b"1", b"2", b"3"]
    assert len({each["KeyMaterialId"] for each in opened}) == 4
    assert opened[0]["KeyMaterialId"] == key["CurrentKeyMaterialId"]
    now = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
    assert now["CurrentKeyMaterialId"] == opened[3]["KeyMaterialId"]
    pages = list(kms.get_paginator("list_key_rotations").paginate(KeyId=key["KeyId"], PaginationConfig={"PageSize": 2}))
    told = [each for page in pages for each in page["Rotations"]]
    assert [page["Truncated"] for page in pages] == [True, False]
    assert [each["KeyMaterialId"] for each in told] == [each["KeyMaterialId"] for each in opened[1:]]
    assert {each["RotationType"] for each in told} == {"ON_DEMAND"}
    everything = kms.list_key_rotations(KeyId=key["KeyId"], IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
    assert [each["KeyMaterialState"] for each in everything] == ["NON_CURRENT"] * 3 + ["CURRENT"]


def test_a_changed_material_id_is_noticed(kms: Any) -> None:
    """The blob's head is bound to what it holds: it cannot be made to name another material."""
    key = kms.create_key()["KeyMetadata"]
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    kms.rotate_key_on_demand(KeyId=key["KeyId"])
    new = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["CurrentKeyMaterialId"]
    old = bytes.fromhex(key["CurrentKeyMaterialId"])
    assert old in blob
    assert code(kms.decrypt, CiphertextBlob=blob.replace(old, bytes.fromhex(new))) == "InvalidCiphertextException"


def test_rotation_by_period(kms: Any, clock: FrozenClock, settle: Callable[[], None]) -> None:
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    assert kms.get_key_rotation_status(KeyId=key_id)["KeyRotationEnabled"] is False
    kms.enable_key_rotation(KeyId=key_id, RotationPeriodInDays=90)
    told = kms.get_key_rotation_status(KeyId=key_id)
    assert (told["KeyRotationEnabled"], told["RotationPeriodInDays"]) == (True, 90)
    assert told["NextRotationDate"].timestamp() == clock.now() + 90 * DAY
    clock.advance(90 * DAY - 1)
    settle()
    assert kms.list_key_rotations(KeyId=key_id)["Rotations"] == []
    clock.advance(1)
    settle()
    settle()
    (rotation,) = kms.list_key_rotations(KeyId=key_id)["Rotations"]
    assert (rotation["RotationType"], rotation["RotationDate"].timestamp()) == ("AUTOMATIC", clock.now())
    kms.disable_key(KeyId=key_id)
    clock.advance(91 * DAY)
    settle()
    assert len(kms.list_key_rotations(KeyId=key_id)["Rotations"]) == 1, "not while it is disabled"
    kms.enable_key(KeyId=key_id)
    settle()
    assert len(kms.list_key_rotations(KeyId=key_id)["Rotations"]) == 2
    kms.disable_key_rotation(KeyId=key_id)
    clock.advance(91 * DAY)
    settle()
    assert len(kms.list_key_rotations(KeyId=key_id)["Rotations"]) == 2
    kms.enable_key_rotation(KeyId=key_id)
    kms.schedule_key_deletion(KeyId=key_id)
    assert kms.get_key_rotation_status(KeyId=key_id)["KeyRotationEnabled"] is False


def test_keys_that_do_not_rotate(kms: Any) -> None:
    pair = kms.create_key(KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")["KeyMetadata"]
    assert refusal(kms.rotate_key_on_demand, KeyId=pair["KeyId"]) == ("UnsupportedOperationException", "")
    assert code(kms.enable_key_rotation, KeyId=pair["KeyId"]) == "UnsupportedOperationException"
    assert kms.get_key_rotation_status(KeyId=pair["KeyId"])["KeyRotationEnabled"] is False
    kms.disable_key(KeyId=pair["KeyId"])
    assert refusal(kms.rotate_key_on_demand, KeyId=pair["KeyId"]) == (
        "DisabledException",
        f"{pair['Arn']} is disabled.",
    )


def test_on_demand_rotations_have_a_limit(kms: Any) -> None:
    key = kms.create_key()["KeyMetadata"]
    for _ in range(25):
        kms.rotate_key_on_demand(KeyId=key["KeyId"])
    found, said = refusal(kms.rotate_key_on_demand, KeyId=key["KeyId"])
    assert found == "LimitExceededException" and said.endswith(f"for this key: {key['Arn']}")


def bring(kms: Any, key_id: str, raw: bytes, algorithm: str = "RSAES_OAEP_SHA_256", **given: Any) -> dict[str, Any]:
    """Imports `raw` as its owner would."""
    told = kms.get_parameters_for_import(KeyId=key_id, WrappingAlgorithm=algorithm, WrappingKeySpec="RSA_2048")
    arguments = {"ExpirationModel": STAYS, "EncryptedKeyMaterial": wrapped(told["PublicKey"], raw, algorithm), **given}
    imported: dict[str, Any] = kms.import_key_material(KeyId=key_id, ImportToken=told["ImportToken"], **arguments)
    return imported


def wrapped(public: bytes, raw: bytes, algorithm: str = "RSAES_OAEP_SHA_256") -> bytes:
    key = load_der_public_key(public)
    assert isinstance(key, rsa.RSAPublicKey)
    found = hashes.SHA1() if algorithm.endswith("_1") else hashes.SHA256()
    oaep = padding.OAEP(padding.MGF1(found), found, None)
    if algorithm.startswith("RSAES"):
        return key.encrypt(raw, oaep)
    inner = os.urandom(32)
    return key.encrypt(inner, oaep) + aes_key_wrap_with_padding(inner, raw)


def external(kms: Any, **given: Any) -> dict[str, Any]:
    made: dict[str, Any] = kms.create_key(Origin="EXTERNAL", **given)["KeyMetadata"]
    return made


def test_imported_material(kms: Any) -> None:
    key = external(kms)
    assert (key["KeyState"], key["Enabled"]) == ("PendingImport", False)
    assert "CurrentKeyMaterialId" not in key and "ExpirationModel" not in key
    pending = ("KMSInvalidStateException", f"{key['Arn']} is pending import.")
    assert refusal(kms.encrypt, KeyId=key["KeyId"], Plaintext=b"x") == pending
    assert refusal(kms.rotate_key_on_demand, KeyId=key["KeyId"]) == pending
    raw = os.urandom(32)
    told = bring(kms, key["KeyId"], raw)
    assert told["KeyId"] == key["Arn"] and len(told["KeyMaterialId"]) == 64
    now = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
    assert (now["KeyState"], now["ExpirationModel"]) == ("Enabled", STAYS)
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    deleted = kms.delete_imported_key_material(KeyId=key["KeyId"])
    assert deleted["KeyMaterialId"] == told["KeyMaterialId"]
    assert refusal(kms.decrypt, CiphertextBlob=blob) == pending
    assert code(bring, kms=kms, key_id=key["KeyId"], raw=os.urandom(32)) == "IncorrectKeyMaterialException"
    assert bring(kms, key["KeyId"], raw)["KeyMaterialId"] == told["KeyMaterialId"]
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    assert refusal(kms.enable_key_rotation, KeyId=key["KeyId"]) == (
        "UnsupportedOperationException",
        f"{key['Arn']} origin is EXTERNAL which is not valid for this operation.",
    )


def test_imported_material_expires(kms: Any, clock: FrozenClock, settle: Callable[[], None]) -> None:
    key_id, raw = external(kms)["KeyId"], os.urandom(32)
    until = datetime.fromtimestamp(clock.now() + 3 * DAY, UTC)
    given = {"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": until}
    bring(kms, key_id, raw, **given)
    assert kms.describe_key(KeyId=key_id)["KeyMetadata"]["ValidTo"] == until
    blob = kms.encrypt(KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]
    clock.advance(3 * DAY)
    assert code(kms.decrypt, CiphertextBlob=blob) == "KMSInvalidStateException", "before anybody carried it out"
    settle()
    told = kms.describe_key(KeyId=key_id)["KeyMetadata"]
    assert told["KeyState"] == "PendingImport" and "ValidTo" not in told
    bring(kms, key_id, raw)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    assert refusal(bring, kms=kms, key_id=key_id, raw=raw, ExpirationModel="KEY_MATERIAL_EXPIRES") == (
        "ValidationException",
        "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES",
    )
    for wrong in (datetime.fromtimestamp(clock.now(), UTC), datetime.fromtimestamp(clock.now() + 366 * DAY, UTC)):
        told = {"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": wrong}
        assert code(bring, kms=kms, key_id=key_id, raw=raw, **told) == "ValidationException"


def test_imported_material_rotates_to_what_waits(kms: Any) -> None:
    key = external(kms)
    first = bring(kms, key["KeyId"], os.urandom(32))["KeyMaterialId"]
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    none = f"No available key material pending rotation for the key: {key['Arn']}."
    assert refusal(kms.rotate_key_on_demand, KeyId=key["KeyId"]) == ("KMSInvalidStateException", none)
    given = {"ImportType": "NEW_KEY_MATERIAL", "KeyMaterialDescription": "second"}
    second = bring(kms, key["KeyId"], os.urandom(32), **given)["KeyMaterialId"]
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["CurrentKeyMaterialId"] == first
    said = refusal(bring, kms=kms, key_id=key["KeyId"], raw=os.urandom(32), **given)[1]
    assert f"another key material (id: {second}) is pending rotation." in said
    kms.rotate_key_on_demand(KeyId=key["KeyId"])
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["CurrentKeyMaterialId"] == second
    assert kms.decrypt(CiphertextBlob=blob)["KeyMaterialId"] == first
    kms.delete_imported_key_material(KeyId=key["KeyId"], KeyMaterialId=first)
    told = kms.list_key_rotations(KeyId=key["KeyId"], IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
    assert [(each["KeyMaterialState"], each["ImportState"]) for each in told] == [
        ("NON_CURRENT", "PENDING_IMPORT"),
        ("CURRENT", "IMPORTED"),
    ]
    assert told[1]["KeyMaterialDescription"] == "second"
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "PendingImport"


def test_imported_key_pairs(kms: Any) -> None:
    pair = ec.generate_private_key(ec.SECP256R1())
    raw = pair.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    key_id = external(kms, KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyId"]
    assert "KeyMaterialId" not in bring(kms, key_id, raw, "RSA_AES_KEY_WRAP_SHA_256")
    signature = kms.sign(KeyId=key_id, Message=b"x", SigningAlgorithm="ECDSA_SHA_256")["Signature"]
    pair.public_key().verify(signature, b"x", ec.ECDSA(hashes.SHA256()))
    big = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    rsa_id = external(kms, KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")["KeyId"]
    for bad in (raw, os.urandom(32), big[:-1]):
        given = {"kms": kms, "key_id": rsa_id, "raw": bad, "algorithm": "RSA_AES_KEY_WRAP_SHA_1"}
        assert code(bring, **given) == "IncorrectKeyMaterialException"
    bring(kms, rsa_id, big, "RSA_AES_KEY_WRAP_SHA_1")
    assert kms.describe_key(KeyId=rsa_id)["KeyMetadata"]["KeyState"] == "Enabled"
    mac_id = external(kms, KeySpec="HMAC_384", KeyUsage="GENERATE_VERIFY_MAC")["KeyId"]
    assert code(bring, kms=kms, key_id=mac_id, raw=os.urandom(32)) == "IncorrectKeyMaterialException"
    bring(kms, mac_id, os.urandom(48))


@pytest.mark.parametrize("algorithm", ["RSAES_OAEP_SHA_1", "RSAES_PKCS1_V1_5", "RSA_AES_KEY_WRAP_SHA_256"])
def test_ways_to_wrap(kms: Any, algorithm: str) -> None:
    key_id = external(kms)["KeyId"]
    if algorithm == "RSAES_OAEP_SHA_1":
        bring(kms, key_id, os.urandom(32), algorithm)
        return
    given = {"KeyId": key_id, "WrappingAlgorithm": algorithm, "WrappingKeySpec": "RSA_2048"}
    assert code(kms.get_parameters_for_import, **given) == "ValidationException"


def test_tokens_are_for_one_key_and_one_day(kms: Any, clock: FrozenClock) -> None:
    one, two = external(kms)["KeyId"], external(kms)["KeyId"]
    told = kms.get_parameters_for_import(KeyId=one, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048")
    assert told["ParametersValidTo"].timestamp() == clock.now() + DAY
    given = {"EncryptedKeyMaterial": wrapped(told["PublicKey"], os.urandom(32)), "ExpirationModel": STAYS}
    token, changed = told["ImportToken"], told["ImportToken"][:-1] + bytes([told["ImportToken"][-1] ^ 1])
    assert code(kms.import_key_material, KeyId=two, ImportToken=token, **given) == "InvalidImportTokenException"
    assert code(kms.import_key_material, KeyId=one, ImportToken=changed, **given) == "InvalidImportTokenException"
    broken = {**given, "EncryptedKeyMaterial": given["EncryptedKeyMaterial"][::-1]}
    assert code(kms.import_key_material, KeyId=one, ImportToken=token, **broken) == "InvalidCiphertextException"
    clock.advance(DAY)
    assert code(kms.import_key_material, KeyId=one, ImportToken=token, **given) == "ExpiredImportTokenException"
    own = kms.create_key()["KeyMetadata"]
    assert refusal(
        kms.get_parameters_for_import,
        KeyId=own["KeyId"],
        WrappingAlgorithm="RSAES_OAEP_SHA_256",
        WrappingKeySpec="RSA_2048",
    ) == ("UnsupportedOperationException", f"{own['Arn']} origin is AWS_KMS which is not valid for this operation.")
