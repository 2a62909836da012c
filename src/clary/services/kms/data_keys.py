"""Data keys: random bytes and key pairs for use outside of KMS, with a copy encrypted under a KMS key; random bytes."""

from __future__ import annotations

import os

from sqlalchemy.engine import Connection

from clary.services.kms import ciphertext, faults, grants, keys, material, permission, usage
from clary.services.kms.asking import Asker
from clary.services.kms.specs import ENCRYPT, SYMMETRIC, spec_of
from clary.services.operation import Call, Document, Operations
from clary.services.refusals import refuse
from clary.store.records import Record

operations = Operations()

_NO_ENCLAVES = ("Recipient",)
_SIZES = {"AES_256": 32, "AES_128": 16}


@operations.handles("GenerateDataKey")
@operations.handles("GenerateDataKeyWithoutPlaintext")
@usage.noted
def generate_data_key(call: Call, given: Document) -> Document:
    refuse("GenerateDataKey", given, _NO_ENCLAVES)
    return _told_to(call, *_data_key(call, given))


@operations.handles("GenerateDataKeyPair")
@operations.handles("GenerateDataKeyPairWithoutPlaintext")
@usage.noted
def generate_data_key_pair(call: Call, given: Document) -> Document:
    refuse("GenerateDataKeyPair", given, _NO_ENCLAVES)
    return _told_to(call, *_pair(call, given))


def _told_to(call: Call, secret: Document, answer: Document) -> Document:
    """The answer, with what is secret of it where the operation tells that."""
    return answer if call.operation.endswith("WithoutPlaintext") else {**secret, **answer}


@operations.handles("GenerateRandom")
def generate_random(call: Call, given: Document) -> Document:
    permission.require_account(call, "kms:GenerateRandom")
    refuse("GenerateRandom", given, ("CustomKeyStoreId", "Recipient"))
    if "NumberOfBytes" not in given:
        raise faults.invalid("NumberOfBytes is required.")
    return {"Plaintext": os.urandom(given["NumberOfBytes"])}


def _data_key(call: Call, given: Document) -> tuple[Document, Document]:
    """(what is secret of the answer, the rest of it)."""
    if ("NumberOfBytes" in given) == ("KeySpec" in given):
        raise faults.invalid("Please specify either number of bytes or key spec.")
    size = given["NumberOfBytes"] if "NumberOfBytes" in given else _SIZES[given["KeySpec"]]
    record = _locking(call, given)
    plaintext = os.urandom(size)
    answer = {"CiphertextBlob": _locked(call, record, given, plaintext), **_told(record)}
    return {"Plaintext": plaintext}, answer


def _pair(call: Call, given: Document) -> tuple[Document, Document]:
    """As `_data_key`."""
    spec = spec_of(call.operation, given["KeyPairSpec"])
    record = _locking(call, given)
    private = material.draw(spec)
    answer = {
        "PrivateKeyCiphertextBlob": _locked(call, record, given, private),
        "PublicKey": material.public_bytes(material.key_pair(private)),
        "KeyPairSpec": spec.name,
    }
    return {"PrivateKeyPlaintext": private}, answer | _told(record)


def _locking(call: Call, given: Document) -> Record:
    asker = Asker.of(call, given, given.get("EncryptionContext") or {})

    def look(connection: Connection) -> Record:
        grants.require_tokens(call.platform, connection, given)
        return keys.usable(connection, asker, given["KeyId"], ENCRYPT)

    record = call.platform.stores.records.read(look)
    keys.require_algorithm(record, SYMMETRIC)
    grants.unless_dry(given)
    return record


def _locked(call: Call, record: Record, given: Document, plaintext: bytes) -> bytes:
    return ciphertext.encrypt(call.platform.secrets, record, plaintext, given.get("EncryptionContext") or {})


def _told(record: Record) -> Document:
    return {"KeyId": record.arn, "KeyMaterialId": material.current(record)["Id"]}
