"""AWS managed keys: made when a service, or somebody who describes it, first asks for one."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from clary.context import Platform
from clary.services.kms import keys, managed_names, policies
from clary.services.kms.asking import ALIAS
from clary.services.kms.creation import new_document, new_record
from clary.services.kms.specs import ENCRYPT, SPECS, SYMMETRIC
from clary.store import records
from clary.store.records import NameTaken, Record

_YEAR = 365


def ensure(platform: Platform, account: str, region: str, key_id: str) -> None:
    """Makes the key when `key_id` is the alias of an AWS managed key that is not there yet; else nothing."""
    service = managed_names.service_of(key_id)
    if service is None:
        return
    arn = keys.alias_arn(account, region, f"{managed_names.PREFIX}{service}")
    if platform.stores.records.read(lambda connection: records.by_arn(connection, arn)) is not None:
        return
    key = _key(platform, account, region, service)
    alias = Record(
        ALIAS,
        account,
        region,
        arn,
        f"{managed_names.PREFIX}{service}",
        "",
        key.created,
        key.created,
        {},
        key.arn,
    )

    def commit(connection: Connection) -> None:
        if records.by_arn(connection, arn) is None:
            records.insert(connection, alias)
            records.insert(connection, key)

    try:
        platform.stores.records.write(commit)
    except NameTaken:
        return  # somebody else was first


def _key(platform: Platform, account: str, region: str, service: str) -> Record:
    """It rotates every year, which nobody can turn off."""
    spec = SPECS[SYMMETRIC]
    document = new_document(spec, ENCRYPT, _policy(account, region, service))
    document |= {
        "KeyManager": managed_names.AWS,
        "Description": f"Default key that protects my {service} data when no other key is defined",
        "RotationPeriodInDays": _YEAR,
        "NextRotation": platform.clock.now() + _YEAR * 86_400.0,
    }
    return new_record(platform, account, region, spec, document)


def _policy(account: str, region: str, service: str) -> str:
    used = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
    through = {
        "Sid": f"Allow access through {service} for all principals in the account that are authorized to use it",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": used,
        "Resource": "*",
        "Condition": {
            "StringEquals": {
                "kms:CallerAccount": account,
                "kms:ViaService": f"{service}.{region}.amazonaws.com",
            }
        },
    }
    read = {
        "Sid": "Allow direct access to key metadata to the account",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": ["kms:Describe*", "kms:Get*", "kms:List*"],
        "Resource": "*",
    }
    return policies.written({"Version": "2012-10-17", "Id": f"auto-{service}-1", "Statement": [through, read]})
