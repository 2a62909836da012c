"""Imported key material: wrapped under a key pair that this server draws for the purpose, with a life of its own.

The import token holds the private half of the wrapping key, sealed under the root key for one KMS key and 24 hours.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap_with_padding
from sqlalchemy.engine import Connection

from clary.context import Platform
from clary.errors import ServiceError
from clary.secrets import SealBroken
from clary.services.kms import faults, importing, keys, material
from clary.services.kms.asking import Asker
from clary.services.kms.changing import changing
from clary.services.kms.specs import SPECS, hash_of
from clary.services.operation import Call, Document, Operations
from clary.store.records import Record

operations = Operations()

_DAY = 86_400.0
_WRAPPING: Mapping[str, frozenset[str]] = {  # by the family of the key that it is for
    "symmetric": frozenset({"RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"}),
    "hmac": frozenset({"RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"}),
    "ecc": frozenset({"RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "RSA_AES_KEY_WRAP_SHA_1", "RSA_AES_KEY_WRAP_SHA_256"}),
    "edwards": frozenset({"RSA_AES_KEY_WRAP_SHA_1", "RSA_AES_KEY_WRAP_SHA_256"}),
    "rsa": frozenset({"RSA_AES_KEY_WRAP_SHA_1", "RSA_AES_KEY_WRAP_SHA_256"}),
}
_IMPORTING = (keys.PENDING_IMPORT, keys.ENABLED, keys.DISABLED)


@operations.handles("GetParametersForImport")
def get_parameters_for_import(call: Call, given: Document) -> Document:
    algorithm, wrapping = given["WrappingAlgorithm"], given["WrappingKeySpec"]
    asker = Asker.of(call, given)
    record = call.platform.stores.records.read(lambda connection: _importing(connection, asker, given))
    if wrapping not in SPECS or algorithm not in _WRAPPING[keys.spec(record).family]:
        message = f"Wrapping algorithm {algorithm} with {wrapping} is not valid for key spec {keys.spec(record).name}."
        raise faults.invalid(message)
    pair = material.draw(SPECS[wrapping])
    until = float(int(asker.now)) + _DAY
    token = json.dumps({"Pair": base64.b64encode(pair).decode(), "Algorithm": algorithm, "Until": until}).encode()
    return {
        "KeyId": record.arn,
        "ImportToken": call.platform.secrets.seal(token, _token_context(record)),
        "PublicKey": material.public_bytes(material.key_pair(pair)),
        "ParametersValidTo": until,
    }


def _token_context(record: Record) -> bytes:
    return f"kms import token {record.arn}".encode()


def _require_external(record: Record) -> Record:
    if record.document["Origin"] != "EXTERNAL":
        raise faults.wrong_origin(record.arn, record.document["Origin"])
    return record


@operations.handles("ImportKeyMaterial")
def import_key_material(call: Call, given: Document) -> Document:
    importing.check_times(given, call.platform.clock.now())
    asker = Asker.of(call, given)
    record = call.platform.stores.records.read(lambda connection: _importing(connection, asker, given))
    raw = _unwrapped(call.platform, record, given, asker.now)  # which takes too long for a transaction
    new = importing.kept(call.platform.secrets, record, raw, given, asker.now)

    def change(connection: Connection, record: Record, now: float) -> None:
        keys.require_state(record, *_IMPORTING)
        found = importing.placed(record, new, given)
        state = record.document["KeyState"]
        if state == keys.PENDING_IMPORT and keys.complete({"Materials": found}):
            state = keys.ENABLED
        keys.change(connection, record, now, Materials=found, KeyState=state)

    changing(call, given, change)
    symmetric = keys.spec(record).family == "symmetric"
    return {"KeyId": record.arn, **({"KeyMaterialId": new["Id"]} if symmetric else {})}


def _importing(connection: Connection, asker: Asker, given: Document) -> Record:
    """The key that has material imported. Raises ServiceError."""
    record = keys.require_customers(keys.find(connection, asker, given["KeyId"]), asker)
    return keys.require_state(_require_external(record), *_IMPORTING)


def _unwrapped(platform: Platform, record: Record, given: Document, now: float) -> bytes:
    """Raises InvalidImportTokenException, ExpiredImportTokenException, InvalidCiphertextException."""
    try:
        token = json.loads(platform.secrets.open(given["ImportToken"], _token_context(record)))
    except SealBroken:
        raise ServiceError("InvalidImportTokenException", "") from None
    if token["Until"] <= now:
        raise ServiceError("ExpiredImportTokenException", "")
    pair = material.key_pair(base64.b64decode(token["Pair"]))
    assert isinstance(pair, rsa.RSAPrivateKey)
    algorithm, data = token["Algorithm"], given["EncryptedKeyMaterial"]
    oaep = padding.OAEP(padding.MGF1(hash_of(algorithm)), hash_of(algorithm), None)
    head = pair.key_size // 8
    try:
        if algorithm.startswith("RSAES"):
            return pair.decrypt(data, oaep)
        return aes_key_unwrap_with_padding(pair.decrypt(data[:head], oaep), data[head:])
    except (ValueError, InvalidUnwrap):
        raise faults.bad_ciphertext() from None


@operations.handles("DeleteImportedKeyMaterial")
def delete_imported_key_material(call: Call, given: Document) -> Document:
    answer: Document = {}

    def change(connection: Connection, record: Record, now: float) -> None:
        _require_external(record)
        wanted = given.get("KeyMaterialId") or material.current_id(record.document)
        kept = material.by_id(record, wanted) if wanted else None
        if given.get("KeyMaterialId") and kept is None:
            raise ServiceError("NotFoundException", f"Key material {wanted} is not associated with {record.arn}")
        answer["KeyId"] = record.arn
        if kept is None or kept["Sealed"] is None:
            return
        answer["KeyMaterialId"] = kept["Id"]
        keys.change(connection, record, now, **importing.without(record, kept))

    changing(call, given, change)
    return answer
