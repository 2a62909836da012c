"""Encrypt, Decrypt, ReEncrypt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from sqlalchemy.engine import Connection

from clary.context import Platform
from clary.errors import ServiceError
from clary.services.kms import ciphertext, faults, grants, keys, material, permission, usage
from clary.services.kms.asking import Asker
from clary.services.kms.ciphertext import Blob
from clary.services.kms.specs import ENCRYPT, SYMMETRIC, hash_of
from clary.services.operation import Call, Document, Operations
from clary.services.refusals import refuse
from clary.store.records import Record

operations = Operations()

_NO_ENCLAVES = ("Recipient",)


@dataclass(frozen=True, slots=True)
class Lock:
    """How something is, or shall be, encrypted. `key_id` may be left out where the ciphertext names its key."""

    key_id: str | None
    algorithm: str = SYMMETRIC
    context: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, key_id: str | None, algorithm: str | None, context: Mapping[str, str] | None) -> Lock:
        """From members of a request. Raises ValidationException."""
        if context and algorithm not in (None, SYMMETRIC):
            raise faults.invalid(f"EncryptionContext is not supported with the {algorithm} algorithm.")
        return cls(key_id, algorithm or SYMMETRIC, context or {})

    def bound_to(self) -> Mapping[str, str] | None:
        """The encryption context, None where there can be none."""
        return self.context if self.algorithm == SYMMETRIC else None


@operations.handles("Encrypt")
@usage.noted
def encrypt(call: Call, given: Document) -> Document:
    lock = _lock(given)
    record = _locking(call, given, lock)
    _require_room(record, lock, given["Plaintext"])
    grants.unless_dry(given)
    blob = _locked(call.platform, record, lock, given["Plaintext"])
    return {"CiphertextBlob": blob, "KeyId": record.arn, "EncryptionAlgorithm": lock.algorithm}


@operations.handles("Decrypt")
@usage.noted
def decrypt(call: Call, given: Document) -> Document:
    refuse("Decrypt", given, _NO_ENCLAVES)
    lock = _lock(given)
    data = _ciphertext(given, "KeyId")
    record = _unlocking(call, given, lock, data)
    grants.unless_dry(given)
    plaintext, material_id = unlocked(call.platform, record, lock, data or b"")
    answer: Document = {"Plaintext": plaintext, "KeyId": record.arn, "EncryptionAlgorithm": lock.algorithm}
    return answer | ({"KeyMaterialId": material_id} if material_id else {})


@operations.handles("ReEncrypt")
@usage.noted
def re_encrypt(call: Call, given: Document) -> Document:
    old = Lock.of(
        given.get("SourceKeyId"), given.get("SourceEncryptionAlgorithm"), given.get("SourceEncryptionContext")
    )
    new = Lock.of(
        given["DestinationKeyId"],
        given.get("DestinationEncryptionAlgorithm"),
        given.get("DestinationEncryptionContext"),
    )
    data = _ciphertext(given, "SourceKeyId")
    source, destination = _unlocking(call, given, old, data), _locking(call, given, new)
    grants.unless_dry(given)
    plaintext, old_material = unlocked(call.platform, source, old, data or b"")
    _require_room(destination, new, plaintext)
    answer: Document = {
        "CiphertextBlob": _locked(call.platform, destination, new, plaintext),
        "SourceKeyId": source.arn,
        "KeyId": destination.arn,
        "SourceEncryptionAlgorithm": old.algorithm,
        "DestinationEncryptionAlgorithm": new.algorithm,
    }
    if old_material:
        answer["SourceKeyMaterialId"] = old_material
    if new.algorithm == SYMMETRIC:
        answer["DestinationKeyMaterialId"] = material.current(destination)["Id"]
    return answer


def _lock(given: Document) -> Lock:
    return Lock.of(given.get("KeyId"), given.get("EncryptionAlgorithm"), given.get("EncryptionContext"))


def _ciphertext(given: Document, key_member: str) -> bytes | None:
    """None in a dry run that is asked to do without one. Raises ValidationException."""
    if "IGNORE_CIPHERTEXT" in (given.get("DryRunModifiers") or ()):
        if not given.get("DryRun") or not given.get(key_member):
            raise faults.invalid(f"DryRunModifiers IGNORE_CIPHERTEXT needs DryRun and {key_member}.")
        return None
    data: bytes | None = given.get("CiphertextBlob")
    if data is None:
        raise faults.invalid("CiphertextBlob is required.")
    return data


def _locking(call: Call, given: Document, lock: Lock) -> Record:
    """The key that encrypts. Raises ServiceError."""
    name = "ReEncryptTo" if call.operation == "ReEncrypt" else call.operation
    asker = Asker.of(call, given, lock.bound_to(), name)

    def look(connection: Connection) -> Record:
        grants.require_tokens(call.platform, connection, given)
        return keys.usable(connection, asker, lock.key_id or "", ENCRYPT)

    record = call.platform.stores.records.read(look)
    keys.require_algorithm(record, lock.algorithm)
    return record


def _require_room(record: Record, lock: Lock, plaintext: bytes) -> None:
    if lock.algorithm == SYMMETRIC:
        return
    spec = keys.spec(record)
    most = spec.size // 8 - 2 * hash_of(lock.algorithm).digest_size - 2
    if len(plaintext) > most:
        message = f"Algorithm {lock.algorithm} and key spec {spec.name} cannot encrypt data larger than {most} bytes."
        raise faults.invalid(message)


def _locked(platform: Platform, record: Record, lock: Lock, plaintext: bytes) -> bytes:
    if lock.algorithm == SYMMETRIC:
        return ciphertext.encrypt(platform.secrets, record, plaintext, lock.context)
    key = load_der_public_key(material.public(record))
    assert isinstance(key, rsa.RSAPublicKey)
    return key.encrypt(plaintext, _oaep(lock.algorithm))


def _unlocking(call: Call, given: Document, lock: Lock, data: bytes | None) -> Record:
    """The key that decrypts. Raises ServiceError."""
    name = "ReEncryptFrom" if call.operation == "ReEncrypt" else call.operation
    asker = Asker.of(call, given, lock.bound_to(), name)
    if lock.key_id is None and lock.algorithm != SYMMETRIC:
        raise faults.invalid(f"A key id is required with the {lock.algorithm} algorithm.")

    def look(connection: Connection) -> Record:
        grants.require_tokens(call.platform, connection, given)
        if lock.key_id is None:
            return named_by(connection, asker, ciphertext.read(data or b""))
        record = keys.require_customers(keys.find(connection, asker, lock.key_id, aliases=True), asker)
        return keys.require_state(record, keys.ENABLED)

    record = call.platform.stores.records.read(look)
    if record.document["KeyUsage"] != ENCRYPT:
        raise faults.wrong_key()
    keys.require_algorithm(record, lock.algorithm)
    return record


def named_by(connection: Connection, asker: Asker, blob: Blob) -> Record:
    """The key that a ciphertext names. Raises ServiceError, the same one for a key that is not there and for one of
    another account that lets nobody in."""
    record = keys.by_arn(connection, keys.arn_of(blob.account, asker.region, blob.key_id), asker.now)
    if record is None:
        raise faults.unknown_ciphertext()
    try:
        permission.require(connection, asker, record)
    except ServiceError:
        if record.account == asker.account:
            raise
        raise faults.unknown_ciphertext() from None
    return keys.require_state(keys.require_customers(record, asker), keys.ENABLED)


def unlocked(platform: Platform, record: Record, lock: Lock, data: bytes) -> tuple[bytes, str]:
    """(plaintext, which material opened it: "" for a key pair). Raises InvalidCiphertextException,
    IncorrectKeyException."""
    if lock.algorithm == SYMMETRIC:
        blob = ciphertext.read(data)
        if (blob.account, blob.key_id) != (record.account, record.document["KeyId"]):
            raise faults.wrong_key()
        return ciphertext.decrypt(platform.secrets, record, blob, lock.context), blob.material_id
    pair = material.key_pair(material.unseal(platform.secrets, record, material.current(record)))
    assert isinstance(pair, rsa.RSAPrivateKey)
    try:
        return pair.decrypt(data, _oaep(lock.algorithm)), ""
    except ValueError:
        raise faults.bad_ciphertext() from None


def _oaep(algorithm: str) -> padding.OAEP:
    return padding.OAEP(padding.MGF1(hash_of(algorithm)), hash_of(algorithm), None)
