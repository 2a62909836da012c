"""Rotation: new material for new ciphertexts, while the old material goes on opening the old ones."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from clary.context import Platform
from clary.errors import ServiceError
from clary.services.kms import faults, keys, managed_names, material, paging, regions
from clary.services.kms.asking import Asker
from clary.services.kms.changing import changing
from clary.services.kms.material import Material
from clary.services.kms.specs import SYMMETRIC
from clary.services.operation import Call, Document, Operations
from clary.store.records import Record

operations = Operations()

DAY = 86_400.0
AUTOMATIC, ON_DEMAND = "AUTOMATIC", "ON_DEMAND"
_PERIOD = 365  # days
_MOST_ON_DEMAND = 25


def rotated(platform: Platform, record: Record, kind: str, now: float) -> list[Material]:
    """The key's materials with a new current one: drawn, or the imported one that waits for its turn."""
    waiting = [each for each in record.document["Materials"] if each["State"] == material.PENDING]
    old = [{**each, "State": material.NON_CURRENT} for each in record.document["Materials"] if each not in waiting]
    if waiting:
        new = waiting[0]
    else:
        spec = keys.spec(record)
        key_id = record.document["KeyId"]
        new = material.material(platform.secrets, record.account, key_id, spec, material.draw(spec), now)
    return [*old, {**new, "State": material.CURRENT, "Since": now, "Rotation": kind}]


@operations.handles("RotateKeyOnDemand")
def rotate_key_on_demand(call: Call, given: Document) -> Document:
    def change(connection: Connection, record: Record, now: float) -> None:
        _require_rotatable(record)
        if record.document["Origin"] == "EXTERNAL":
            _require_waiting(record)
        made = sum(each.get("Rotation") == ON_DEMAND for each in record.document["Materials"])
        if made >= _MOST_ON_DEMAND:
            raise _limit(record)
        new = keys.change(connection, record, now, Materials=rotated(call.platform, record, ON_DEMAND, now))
        if new.document["MultiRegion"]:
            regions.share_material(connection, new, now)

    return {"KeyId": changing(call, given, change).arn}


def _require_rotatable(record: Record) -> None:
    """Raises ServiceError for keys that have no rotation."""
    keys.require_state(record, keys.ENABLED)
    if record.document["KeySpec"] != SYMMETRIC:
        raise faults.unsupported()
    if record.document["MultiRegion"] and record.document["PrimaryRegion"] != record.region:
        raise faults.unsupported(f"{record.arn} is not a multi-region primary key.")


def _require_waiting(record: Record) -> None:
    if record.document["MultiRegion"]:
        raise faults.not_built("RotateKeyOnDemand", "A multi-Region key with imported key material")
    if not any(each["State"] == material.PENDING and each["Sealed"] for each in record.document["Materials"]):
        raise faults.wrong_state(f"No available key material pending rotation for the key: {record.arn}.")


def _limit(record: Record) -> ServiceError:
    message = (
        "The on-demand rotations limit has been reached for the given keyId. "
        f"No more on-demand rotations can be performed for this key: {record.arn}"
    )
    return ServiceError("LimitExceededException", message)


@operations.handles("EnableKeyRotation")
def enable_key_rotation(call: Call, given: Document) -> Document:
    def change(connection: Connection, record: Record, now: float) -> None:
        _require_automatic(record)
        days = given.get("RotationPeriodInDays", _PERIOD)
        new = keys.change(connection, record, now, RotationPeriodInDays=days, NextRotation=now + days * DAY)
        if new.document["MultiRegion"]:
            regions.share_material(connection, new, now)

    changing(call, given, change)
    return {}


@operations.handles("DisableKeyRotation")
def disable_key_rotation(call: Call, given: Document) -> Document:
    def change(connection: Connection, record: Record, now: float) -> None:
        _require_automatic(record)
        new = keys.change(connection, record, now, RotationPeriodInDays=None, NextRotation=None)
        if new.document["MultiRegion"]:
            regions.share_material(connection, new, now)

    changing(call, given, change)
    return {}


def _require_automatic(record: Record) -> None:
    if record.document["Origin"] == "EXTERNAL":
        raise faults.wrong_origin(record.arn, "EXTERNAL")
    _require_rotatable(record)


@operations.handles("GetKeyRotationStatus")
def get_key_rotation_status(call: Call, given: Document) -> Document:
    record = _read(call, given)
    days = record.document.get("RotationPeriodInDays")
    pending = record.document["KeyState"] in (keys.PENDING_DELETION, keys.PENDING_REPLICAS)
    answer: Document = {"KeyId": record.document["KeyId"], "KeyRotationEnabled": days is not None and not pending}
    if answer["KeyRotationEnabled"]:
        answer["RotationPeriodInDays"] = days
        if "NextRotation" in record.document:
            answer["NextRotationDate"] = record.document["NextRotation"]
    return answer


@operations.handles("ListKeyRotations")
def list_key_rotations(call: Call, given: Document) -> Document:
    record = _read(call, given)
    if record.document["KeySpec"] != SYMMETRIC or record.document["KeyManager"] == managed_names.AWS:
        raise faults.unsupported()
    found = record.document["Materials"]
    if given.get("IncludeKeyMaterial") != "ALL_KEY_MATERIAL":
        found = [each for each in found if "Rotation" in each]
    places = [(f"{number:09}", each) for number, each in enumerate(found, 1)]
    return paging.of_items(call, given, places, "Rotations", lambda kept: _rotation(record, kept))


def _rotation(record: Record, kept: Material) -> Document:
    answer: Document = {
        "KeyId": record.document["KeyId"],
        "KeyMaterialId": kept["Id"],
        "KeyMaterialState": kept["State"],
    }
    if "Rotation" in kept:
        answer |= {"RotationDate": kept["Since"], "RotationType": kept["Rotation"]}
    if record.document["Origin"] == "EXTERNAL":
        answer["ImportState"] = "IMPORTED" if kept["Sealed"] else "PENDING_IMPORT"
        answer |= {name: kept[name] for name in ("ExpirationModel", "ValidTo") if name in kept and kept["Sealed"]}
        if kept.get("Description"):
            answer["KeyMaterialDescription"] = kept["Description"]
    return answer


def _read(call: Call, given: Document) -> Record:
    asker = Asker.of(call, given)
    return call.platform.stores.records.read(lambda connection: keys.find(connection, asker, given["KeyId"]))
