"""What keys do: each operation checked by an independent one outside of the server."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

from api.kms.refused import code, refusal

HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


def key(kms: Any, spec: str = "SYMMETRIC_DEFAULT", usage: str = "ENCRYPT_DECRYPT") -> dict[str, Any]:
    made: dict[str, Any] = kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]
    return made


def test_encrypt_and_decrypt(kms: Any) -> None:
    made = key(kms)
    context = {"purpose": "test", "b": "ö"}
    told = kms.encrypt(KeyId=made["KeyId"], Plaintext=b"\x00secret", EncryptionContext=context)
    assert (told["KeyId"], told["EncryptionAlgorithm"]) == (made["Arn"], "SYMMETRIC_DEFAULT")
    back = kms.decrypt(CiphertextBlob=told["CiphertextBlob"], EncryptionContext=dict(reversed(context.items())))
    assert back["Plaintext"] == b"\x00secret"
    assert (back["KeyId"], back["KeyMaterialId"]) == (made["Arn"], made["CurrentKeyMaterialId"])
    for wrong in ({}, {"purpose": "test"}, {"purpose": "Test", "b": "ö"}, {"purpose": "testb", "": "ö"}):
        refused = refusal(kms.decrypt, CiphertextBlob=told["CiphertextBlob"], EncryptionContext=wrong)
        assert refused == ("InvalidCiphertextException", "")
    again = kms.encrypt(KeyId=made["KeyId"], Plaintext=b"\x00secret", EncryptionContext=context)
    assert again["CiphertextBlob"] != told["CiphertextBlob"]


def test_the_largest_plaintext_and_one_byte_more(kms: Any) -> None:
    made = key(kms)
    blob = kms.encrypt(KeyId=made["KeyId"], Plaintext=b"x" * 4096)["CiphertextBlob"]
    assert len(blob) <= 6144
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x" * 4096
    said = refusal(kms.encrypt, KeyId=made["KeyId"], Plaintext=b"x" * 4097)[1]
    assert said.startswith("1 validation error detected: Value at 'plaintext' failed") and "xxx" not in said


def test_ciphertexts_of_other_keys(kms: Any) -> None:
    one, two, signing = key(kms), key(kms), key(kms, "HMAC_224", "GENERATE_VERIFY_MAC")
    blob = kms.encrypt(KeyId=one["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    wrong = "The key ID in the request does not identify a CMK that can perform this operation."
    for other in (two, signing):
        assert refusal(kms.decrypt, CiphertextBlob=blob, KeyId=other["KeyId"]) == ("IncorrectKeyException", wrong)
    for bad in (b"x", b"\x01", blob[:-1], blob[50:], blob + b"x"):
        assert code(kms.decrypt, CiphertextBlob=bad, KeyId=one["KeyId"]) in (
            "InvalidCiphertextException",
            "IncorrectKeyException",
        )
    assert kms.decrypt(CiphertextBlob=blob, KeyId=one["Arn"])["Plaintext"] == b"x"


@pytest.mark.parametrize(("algorithm", "most"), [("RSAES_OAEP_SHA_1", 214), ("RSAES_OAEP_SHA_256", 190)])
def test_rsa_encryption(kms: Any, algorithm: str, most: int) -> None:
    made = key(kms, "RSA_2048")
    told = kms.encrypt(KeyId=made["KeyId"], Plaintext=b"x" * most, EncryptionAlgorithm=algorithm)
    back = kms.decrypt(KeyId=made["KeyId"], CiphertextBlob=told["CiphertextBlob"], EncryptionAlgorithm=algorithm)
    assert back["Plaintext"] == b"x" * most and "KeyMaterialId" not in back
    said = f"Algorithm {algorithm} and key spec RSA_2048 cannot encrypt data larger than {most} bytes."
    given = {"KeyId": made["KeyId"], "EncryptionAlgorithm": algorithm}
    assert refusal(kms.encrypt, Plaintext=b"x" * (most + 1), **given) == ("ValidationException", said)
    public = load_der_public_key(kms.get_public_key(KeyId=made["KeyId"])["PublicKey"])
    assert isinstance(public, rsa.RSAPublicKey)
    found = hashes.SHA1() if algorithm.endswith("_1") else hashes.SHA256()
    outside = public.encrypt(b"from outside", padding.OAEP(padding.MGF1(found), found, None))
    assert kms.decrypt(CiphertextBlob=outside, **given)["Plaintext"] == b"from outside"
    assert code(kms.decrypt, CiphertextBlob=outside[::-1], **given) == "InvalidCiphertextException"
    assert code(kms.encrypt, Plaintext=b"x", EncryptionContext={"a": "b"}, **given) == "ValidationException"
    assert refusal(kms.encrypt, KeyId=made["KeyId"], Plaintext=b"x") == (
        "InvalidKeyUsageException",
        "Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048.",
    )


def test_re_encrypt(kms: Any) -> None:
    one, two = key(kms), key(kms, "RSA_2048")
    blob = kms.encrypt(KeyId=one["KeyId"], Plaintext=b"moving", EncryptionContext={"a": "1"})["CiphertextBlob"]
    told = kms.re_encrypt(
        CiphertextBlob=blob,
        SourceEncryptionContext={"a": "1"},
        DestinationKeyId=two["KeyId"],
        DestinationEncryptionAlgorithm="RSAES_OAEP_SHA_256",
    )
    assert (told["SourceKeyId"], told["KeyId"]) == (one["Arn"], two["Arn"])
    back = kms.re_encrypt(
        CiphertextBlob=told["CiphertextBlob"],
        SourceKeyId=two["KeyId"],
        SourceEncryptionAlgorithm="RSAES_OAEP_SHA_256",
        DestinationKeyId=one["Arn"],
        DestinationEncryptionContext={"b": "2"},
    )
    assert back["DestinationKeyMaterialId"] == one["CurrentKeyMaterialId"]
    assert kms.decrypt(CiphertextBlob=back["CiphertextBlob"], EncryptionContext={"b": "2"})["Plaintext"] == b"moving"
    assert code(kms.re_encrypt, CiphertextBlob=blob, DestinationKeyId=one["KeyId"]) == "InvalidCiphertextException"


def test_data_keys(kms: Any) -> None:
    made = key(kms)
    for given, size in (({"KeySpec": "AES_256"}, 32), ({"KeySpec": "AES_128"}, 16), ({"NumberOfBytes": 1024}, 1024)):
        told = kms.generate_data_key(KeyId=made["KeyId"], EncryptionContext={"a": "b"}, **given)
        assert len(told["Plaintext"]) == size and told["KeyId"] == made["Arn"]
        opened = kms.decrypt(CiphertextBlob=told["CiphertextBlob"], EncryptionContext={"a": "b"})
        assert opened["Plaintext"] == told["Plaintext"]
    hidden = kms.generate_data_key_without_plaintext(KeyId=made["KeyId"], KeySpec="AES_256")
    assert "Plaintext" not in hidden and len(kms.decrypt(CiphertextBlob=hidden["CiphertextBlob"])["Plaintext"]) == 32
    said = ("ValidationException", "Please specify either number of bytes or key spec.")
    assert refusal(kms.generate_data_key, KeyId=made["KeyId"]) == said
    assert refusal(kms.generate_data_key, KeyId=made["KeyId"], KeySpec="AES_256", NumberOfBytes=32) == said


@pytest.mark.parametrize("spec", ["RSA_2048", "ECC_NIST_P384", "ECC_SECG_P256K1", "ECC_NIST_EDWARDS25519"])
def test_data_key_pairs(kms: Any, spec: str) -> None:
    made = key(kms)
    told = kms.generate_data_key_pair(KeyId=made["KeyId"], KeyPairSpec=spec)
    opened = kms.decrypt(CiphertextBlob=told["PrivateKeyCiphertextBlob"])["Plaintext"]
    assert opened == told["PrivateKeyPlaintext"]
    public = load_der_private_key(opened, None).public_key()
    assert public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == told["PublicKey"]
    hidden = kms.generate_data_key_pair_without_plaintext(KeyId=made["KeyId"], KeyPairSpec=spec)
    assert "PrivateKeyPlaintext" not in hidden and hidden["KeyPairSpec"] == spec


def test_random_bytes(kms: Any) -> None:
    assert len(kms.generate_random(NumberOfBytes=1024)["Plaintext"]) == 1024
    assert refusal(kms.generate_random) == ("ValidationException", "NumberOfBytes is required.")
    assert "numberOfBytes" in refusal(kms.generate_random, NumberOfBytes=1025)[1]


@pytest.mark.parametrize("kind", ["RAW", "DIGEST"])
@pytest.mark.parametrize("algorithm", ["PSS_SHA_256", "PSS_SHA_384", "PKCS1_V1_5_SHA_512"])
def test_rsa_signatures(kms: Any, algorithm: str, kind: str) -> None:
    made, bits = key(kms, "RSA_2048", "SIGN_VERIFY"), algorithm[-3:]
    message = b"sign this" if kind == "RAW" else hashlib.new(f"sha{bits}", b"sign this").digest()
    given = {"KeyId": made["KeyId"], "SigningAlgorithm": f"RSASSA_{algorithm}", "MessageType": kind}
    signature = kms.sign(Message=message, **given)["Signature"]
    told = kms.verify(Message=message, Signature=signature, **given)
    assert told["SignatureValid"] is True and told["KeyId"] == made["Arn"]
    public = load_der_public_key(kms.get_public_key(KeyId=made["KeyId"])["PublicKey"])
    assert isinstance(public, rsa.RSAPublicKey)
    pss = padding.PSS(padding.MGF1(HASHES[bits]), HASHES[bits].digest_size)
    public.verify(signature, b"sign this", pss if "PSS" in algorithm else padding.PKCS1v15(), HASHES[bits])
    other = bytes(reversed(message))
    assert refusal(kms.verify, Message=other, Signature=signature, **given) == ("KMSInvalidSignatureException", "")
    if kind == "DIGEST":
        said = f"Digest is invalid length for algorithm RSASSA_{algorithm}."
        assert refusal(kms.sign, Message=b"short", **given) == ("ValidationException", said)


@pytest.mark.parametrize(
    ("spec", "bits"),
    [("ECC_NIST_P256", "256"), ("ECC_NIST_P384", "384"), ("ECC_NIST_P521", "512"), ("ECC_SECG_P256K1", "256")],
)
def test_elliptic_signatures(kms: Any, spec: str, bits: str) -> None:
    made = key(kms, spec, "SIGN_VERIFY")
    given = {"KeyId": made["KeyId"], "SigningAlgorithm": f"ECDSA_SHA_{bits}"}
    signature = kms.sign(Message=b"sign this", **given)["Signature"]
    public = load_der_public_key(kms.get_public_key(KeyId=made["KeyId"])["PublicKey"])
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(signature, b"sign this", ec.ECDSA(HASHES[bits]))
    digest = hashlib.new(f"sha{bits}", b"sign this").digest()
    assert kms.verify(Message=digest, MessageType="DIGEST", Signature=signature, **given)["SignatureValid"]
    signature = kms.sign(Message=digest, MessageType="DIGEST", **given)["Signature"]
    public.verify(signature, digest, ec.ECDSA(utils.Prehashed(HASHES[bits])))
    assert code(kms.verify, Message=b"other", Signature=signature, **given) == "KMSInvalidSignatureException"
    wrong = "ECDSA_SHA_384" if bits != "384" else "ECDSA_SHA_256"
    said = f"Algorithm {wrong} is incompatible with key spec {spec}."
    assert refusal(kms.sign, **{**given, "SigningAlgorithm": wrong}, Message=b"x") == ("InvalidKeyUsageException", said)


def test_edwards_signatures(kms: Any) -> None:
    made = key(kms, "ECC_NIST_EDWARDS25519", "SIGN_VERIFY")
    given = {"KeyId": made["KeyId"], "SigningAlgorithm": "ED25519_SHA_512", "Message": b"sign this"}
    signature = kms.sign(**given)["Signature"]
    public = load_der_public_key(kms.get_public_key(KeyId=made["KeyId"])["PublicKey"])
    assert isinstance(public, ed25519.Ed25519PublicKey)
    public.verify(signature, b"sign this")
    assert kms.verify(Signature=signature, **given)["SignatureValid"]
    assert code(kms.verify, Signature=signature[::-1], **given) == "KMSInvalidSignatureException"
    assert code(kms.sign, MessageType="DIGEST", **given) == "ValidationException"


@pytest.mark.parametrize("bits", ["224", "256", "384", "512"])
def test_macs(kms: Any, bits: str) -> None:
    made, other = (key(kms, f"HMAC_{bits}", "GENERATE_VERIFY_MAC") for _ in range(2))
    given = {"MacAlgorithm": f"HMAC_SHA_{bits}", "Message": b"authentic"}
    told = kms.generate_mac(KeyId=made["KeyId"], **given)
    assert (told["KeyId"], len(told["Mac"])) == (made["Arn"], int(bits) // 8)
    assert kms.verify_mac(KeyId=made["KeyId"], Mac=told["Mac"], **given)["MacValid"] is True
    assert refusal(kms.verify_mac, KeyId=other["KeyId"], Mac=told["Mac"], **given) == ("KMSInvalidMacException", "")
    wrong = "HMAC_SHA_384" if bits != "384" else "HMAC_SHA_256"
    assert code(kms.generate_mac, KeyId=made["KeyId"], MacAlgorithm=wrong, Message=b"x") == "InvalidKeyUsageException"


def test_a_shared_secret(kms: Any) -> None:
    made = key(kms, "ECC_NIST_P256", "KEY_AGREEMENT")
    mine = ec.generate_private_key(ec.SECP256R1())
    told = kms.derive_shared_secret(KeyId=made["KeyId"], KeyAgreementAlgorithm="ECDH", PublicKey=public_bytes(mine))
    theirs = load_der_public_key(kms.get_public_key(KeyId=made["KeyId"])["PublicKey"])
    assert isinstance(theirs, ec.EllipticCurvePublicKey)
    assert told["SharedSecret"] == mine.exchange(ec.ECDH(), theirs)
    assert (told["KeyId"], told["KeyOrigin"]) == (made["Arn"], "AWS_KMS")
    for bad in (b"junk", public_bytes(ec.generate_private_key(ec.SECP384R1()))):
        given = {"KeyId": made["KeyId"], "KeyAgreementAlgorithm": "ECDH", "PublicKey": bad}
        assert refusal(kms.derive_shared_secret, **given) == ("ValidationException", "")


def public_bytes(private: ec.EllipticCurvePrivateKey) -> bytes:
    return private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def test_keys_for_other_purposes(kms: Any) -> None:
    plain, signing = key(kms), key(kms, "ECC_NIST_P256", "SIGN_VERIFY")
    for call, made, given, operation in (
        (kms.generate_mac, plain, {"MacAlgorithm": "HMAC_SHA_256", "Message": b"x"}, "GenerateMac"),
        (kms.sign, plain, {"SigningAlgorithm": "ECDSA_SHA_256", "Message": b"x"}, "Sign"),
        (kms.encrypt, signing, {"Plaintext": b"x"}, "Encrypt"),
        (kms.generate_data_key, signing, {"KeySpec": "AES_256"}, "GenerateDataKey"),
    ):
        usage = made["KeyUsage"]
        said = f"{made['Arn']} key usage is {usage} which is not valid for {operation}."
        assert refusal(call, KeyId=made["KeyId"], **given) == ("InvalidKeyUsageException", said)
    assert code(kms.get_public_key, KeyId=plain["KeyId"]) == "UnsupportedOperationException"


def test_dry_runs_tell_and_do_nothing(kms: Any) -> None:
    made = key(kms)
    said = ("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")
    given = {"KeyId": made["KeyId"], "DryRun": True}
    assert refusal(kms.encrypt, Plaintext=b"x", **given) == said
    assert refusal(kms.generate_data_key_pair, KeyPairSpec="ECC_NIST_P256", **given) == said
    assert refusal(kms.decrypt, DryRunModifiers=["IGNORE_CIPHERTEXT"], **given) == said
    assert code(kms.decrypt, DryRunModifiers=["IGNORE_CIPHERTEXT"], KeyId=made["KeyId"]) == "ValidationException"
    kms.disable_key(KeyId=made["KeyId"])
    assert code(kms.encrypt, Plaintext=b"x", **given) == "DisabledException"
    assert code(kms.decrypt, CiphertextBlob=b"x", Recipient={"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256"}) == (
        "ValidationException"
    )
