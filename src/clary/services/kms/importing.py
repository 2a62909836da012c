"""What becomes of a key when material is imported into it or taken from it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from clary.errors import ServiceError
from clary.secrets import RootKey
from clary.services.kms import faults, keys, material
from clary.services.kms.material import KeyPair, Material
from clary.services.kms.specs import SYMMETRIC, Spec
from clary.services.operation import Document
from clary.store.records import Record

_EXPIRES, _STAYS = "KEY_MATERIAL_EXPIRES", "KEY_MATERIAL_DOES_NOT_EXPIRE"
_NEW, _EXISTING = "NEW_KEY_MATERIAL", "EXISTING_KEY_MATERIAL"
_LONGEST = 365 * 86_400.0
_OF_SYMMETRIC = ("ImportType", "KeyMaterialDescription", "KeyMaterialId")


def check_times(given: Document, now: float) -> None:
    """Raises ValidationException when the expiration model and the date do not go together."""
    until = given.get("ValidTo")
    if given.get("ExpirationModel", _EXPIRES) == _STAYS:
        if until is not None:
            raise faults.invalid(f"A validTo date must not be set if the ExpirationModel is {_STAYS}")
    elif until is None:
        raise faults.invalid(f"A validTo date must be set if the ExpirationModel is {_EXPIRES}")
    elif not now < _epoch(until) <= now + _LONGEST:
        raise faults.invalid("The validTo date must be in the future, and at most 365 days from now")


def _epoch(when: Any) -> float:
    return when.timestamp() if isinstance(when, datetime) else float(when)


def kept(root: RootKey, record: Record, raw: bytes, given: Document, now: float) -> Material:
    """Imported material as the document keeps it. Raises IncorrectKeyMaterialException."""
    spec = keys.spec(record)
    made = material.material(root, record.account, record.document["KeyId"], spec, _checked(spec, raw), now)
    made["ExpirationModel"] = given.get("ExpirationModel", _EXPIRES)
    if given.get("ValidTo") is not None:
        made["ValidTo"] = _epoch(given["ValidTo"])
    if given.get("KeyMaterialDescription"):
        made["Description"] = given["KeyMaterialDescription"]
    return made


def placed(record: Record, new: Material, given: Document) -> list[Material]:
    """The key's materials with the imported one: the first, one that is there again, or one that waits for a rotation.
    Raises ServiceError."""
    found: list[Material] = record.document["Materials"]
    _require_symmetric(record, given)
    if given.get("KeyMaterialId", new["Id"]) != new["Id"]:
        raise _incorrect()
    old = next((each for each in found if each["Id"] == new["Id"]), None)
    asked = given.get("ImportType", _EXISTING if found else _NEW)
    if old is not None:
        again = {**new, "State": old["State"], "Since": old["Since"]}
        again |= {name: old[name] for name in ("Rotation", "Description") if name in old and name not in again}
        return [again if each is old else each for each in found]
    if not found and _is_replica(record):
        return [new]
    if asked != _NEW:
        raise _incorrect()
    if not found:
        return [new]
    return [*found, _waiting(record, new)]


def _waiting(record: Record, new: Material) -> Material:
    if record.document["KeySpec"] != SYMMETRIC:
        raise _incorrect()
    if record.document["MultiRegion"]:
        raise faults.not_built("ImportKeyMaterial", "New key material of a multi-Region key")
    before = next((each for each in record.document["Materials"] if each["State"] == material.PENDING), None)
    if before is not None:
        raise faults.wrong_state(
            f"New key material (id: {new['Id']}) cannot be imported into KMS key {record.arn}, "
            f"because another key material (id: {before['Id']}) is pending rotation."
        )
    return {**new, "State": material.PENDING}


def _is_replica(record: Record) -> bool:
    return bool(record.document["MultiRegion"]) and record.document["PrimaryRegion"] != record.region


def _require_symmetric(record: Record, given: Document) -> None:
    for member in _OF_SYMMETRIC:
        if given.get(member) and record.document["KeySpec"] != SYMMETRIC:
            raise faults.invalid(f"{member} is valid for symmetric encryption keys only.")
    if given.get("KeyMaterialId") and given.get("ImportType") == _NEW:
        raise faults.invalid(f"KeyMaterialId cannot be specified when ImportType is {_NEW}.")


def without(record: Record, gone: Material) -> Document:
    """The members of the key's document once that material's bytes are gone."""
    found = record.document["Materials"]
    if gone["State"] == material.PENDING:
        return {"Materials": [each for each in found if each is not gone]}
    left = [{**each, "Sealed": None} if each is gone else each for each in found]
    usable = record.document["KeyState"] in (keys.ENABLED, keys.DISABLED)
    return {"Materials": left, "KeyState": keys.PENDING_IMPORT if usable else record.document["KeyState"]}


def _checked(spec: Spec, raw: bytes) -> bytes:
    """`raw` as this server keeps such material. Raises IncorrectKeyMaterialException when it is of another kind."""
    if spec.family in ("symmetric", "hmac"):
        if len(raw) != spec.size:
            raise _incorrect()
        return raw
    try:
        pair = serialization.load_der_private_key(raw, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _incorrect() from None
    if not _fits(spec, pair):
        raise _incorrect()
    assert isinstance(pair, KeyPair)
    return material.private_bytes(pair)


def _fits(spec: Spec, pair: object) -> bool:
    match pair:
        case rsa.RSAPrivateKey():
            return spec.family == "rsa" and pair.key_size == spec.size
        case ec.EllipticCurvePrivateKey():
            return spec.curve is not None and pair.curve.name == spec.curve.name
        case ed25519.Ed25519PrivateKey():
            return spec.family == "edwards"
    return False


def _incorrect() -> ServiceError:
    return ServiceError("IncorrectKeyMaterialException", "")
