"""A key's metadata, as answers show it."""

from __future__ import annotations

from clary.services.kms import keys, material
from clary.services.kms.specs import MEMBERS, SYMMETRIC
from clary.services.operation import Document
from clary.store.records import Record

_SHOWN = ("KeyId", "Description", "KeyUsage", "KeyState", "Origin", "KeyManager", "KeySpec", "MultiRegion")


def shown(record: Record) -> Document:
    """KeyMetadata."""
    given = record.document
    answer: Document = {name: given[name] for name in _SHOWN}
    answer |= {
        "AWSAccountId": record.account,
        "Arn": record.arn,
        "CreationDate": record.created,
        "Enabled": given["KeyState"] == keys.ENABLED,
        "CustomerMasterKeySpec": given["KeySpec"],
        MEMBERS[given["KeyUsage"]]: list(keys.spec(record).algorithms[given["KeyUsage"]]),
    }
    if given["KeyState"] == keys.PENDING_DELETION:
        answer["DeletionDate"] = given["DeletionDate"]
    if given["KeyState"] == keys.PENDING_REPLICAS:
        answer["PendingDeletionWindowInDays"] = given["PendingDeletionWindowInDays"]
    current = material.current_id(given)
    if current and given["KeySpec"] == SYMMETRIC:
        answer["CurrentKeyMaterialId"] = current
    return answer | _expiration(given) | _regions(record)


def _expiration(given: Document) -> Document:
    """Of imported material that is there."""
    there = (each for each in given["Materials"] if each["State"] == material.CURRENT and each["Sealed"])
    kept: Document = next(there, {})
    return {name: kept[name] for name in ("ExpirationModel", "ValidTo") if name in kept}


def _regions(record: Record) -> Document:
    given = record.document
    if not given["MultiRegion"]:
        return {}
    primary = given["PrimaryRegion"]
    return {
        "MultiRegionConfiguration": {
            "MultiRegionKeyType": "PRIMARY" if primary == record.region else "REPLICA",
            "PrimaryKey": _in_region(record, primary),
            "ReplicaKeys": [_in_region(record, region) for region in given["ReplicaRegions"]],
        }
    }


def _in_region(record: Record, region: str) -> Document:
    return {"Arn": keys.arn_of(record.account, region, record.document["KeyId"]), "Region": region}
