"""Multi-Region keys: one id and one material in several regions."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from api.kms.refused import code, refusal
from api.kms.test_rotation import bring
from clary.testing.frozen_clock import FrozenClock

DAY = 86_400.0
HOME, AWAY, FAR = "us-east-1", "eu-west-1", "ap-southeast-2"

Clients = Callable[..., Any]


def state(kms: Any, key_id: str) -> str:
    found: str = kms.describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"]
    return found


def test_what_one_region_encrypts_another_decrypts(aws: Clients) -> None:
    home, away = aws(), aws(region=AWAY)
    key = home.create_key(MultiRegion=True, Description="ours")["KeyMetadata"]
    key_id = key["KeyId"]
    assert key_id.startswith("mrk-") and key["MultiRegionConfiguration"]["MultiRegionKeyType"] == "PRIMARY"
    assert code(away.describe_key, KeyId=key_id) == "NotFoundException"
    told = home.replicate_key(KeyId=key_id, ReplicaRegion=AWAY, Tags=[{"TagKey": "a", "TagValue": "b"}])
    replica = told["ReplicaKeyMetadata"]
    assert replica["Arn"] == key["Arn"].replace(HOME, AWAY)
    assert told["ReplicaTags"] == [{"TagKey": "a", "TagValue": "b"}] == away.list_resource_tags(KeyId=key_id)["Tags"]
    assert replica["Description"] == "" and replica["CurrentKeyMaterialId"] == key["CurrentKeyMaterialId"]
    expected = {
        "MultiRegionKeyType": "REPLICA",
        "PrimaryKey": {"Arn": key["Arn"], "Region": HOME},
        "ReplicaKeys": [{"Arn": replica["Arn"], "Region": AWAY}],
    }
    assert away.describe_key(KeyId=key_id)["KeyMetadata"]["MultiRegionConfiguration"] == expected
    blob = home.encrypt(KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]
    opened = away.decrypt(CiphertextBlob=blob)
    assert (opened["Plaintext"], opened["KeyId"]) == (b"x", replica["Arn"])
    assert code(home.replicate_key, KeyId=key_id, ReplicaRegion=AWAY) == "AlreadyExistsException"
    assert refusal(away.replicate_key, KeyId=key_id, ReplicaRegion=FAR) == (
        "UnsupportedOperationException",
        f"{replica['Arn']} is not a multi-region primary key.",
    )
    plain = home.create_key()["KeyMetadata"]
    assert code(home.replicate_key, KeyId=plain["KeyId"], ReplicaRegion=AWAY) == "UnsupportedOperationException"


def test_rotation_is_shared(aws: Clients, clock: FrozenClock, settle: Callable[[], None]) -> None:
    home, away = aws(), aws(region=AWAY)
    key_id = home.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
    home.replicate_key(KeyId=key_id, ReplicaRegion=AWAY)
    home.rotate_key_on_demand(KeyId=key_id)
    blob = home.encrypt(KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]
    assert away.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    assert code(away.rotate_key_on_demand, KeyId=key_id) == "UnsupportedOperationException"
    home.enable_key_rotation(KeyId=key_id)
    assert away.get_key_rotation_status(KeyId=key_id)["KeyRotationEnabled"] is True
    clock.advance(365 * DAY)
    settle()
    blob = home.encrypt(KeyId=key_id, Plaintext=b"y")["CiphertextBlob"]
    assert away.decrypt(CiphertextBlob=blob)["Plaintext"] == b"y"
    assert len(away.list_key_rotations(KeyId=key_id)["Rotations"]) == 2


def test_another_region_becomes_the_primary(aws: Clients) -> None:
    home, away = aws(), aws(region=AWAY)
    key_id = home.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
    home.replicate_key(KeyId=key_id, ReplicaRegion=AWAY)
    assert code(home.update_primary_region, KeyId=key_id, PrimaryRegion=FAR) == "NotFoundException"
    home.enable_key_rotation(KeyId=key_id)
    home.update_primary_region(KeyId=key_id, PrimaryRegion=AWAY)
    kinds = [
        each.describe_key(KeyId=key_id)["KeyMetadata"]["MultiRegionConfiguration"]["MultiRegionKeyType"]
        for each in (home, away)
    ]
    assert kinds == ["REPLICA", "PRIMARY"]
    assert "NextRotationDate" in away.get_key_rotation_status(KeyId=key_id)
    away.replicate_key(KeyId=key_id, ReplicaRegion=FAR)
    assert state(aws(region=FAR), key_id) == "Enabled"


def test_a_primary_key_outlives_its_replicas(aws: Clients, clock: FrozenClock, settle: Callable[[], None]) -> None:
    home, away = aws(), aws(region=AWAY)
    key_id = home.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
    home.replicate_key(KeyId=key_id, ReplicaRegion=AWAY)
    told = home.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
    assert told["KeyState"] == "PendingReplicaDeletion" and "DeletionDate" not in told
    assert home.describe_key(KeyId=key_id)["KeyMetadata"]["PendingDeletionWindowInDays"] == 7
    assert code(home.encrypt, KeyId=key_id, Plaintext=b"x") == "KMSInvalidStateException"
    away.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
    clock.advance(7 * DAY)
    settle()
    assert code(away.describe_key, KeyId=key_id) == "NotFoundException"
    assert state(home, key_id) == "PendingDeletion"
    clock.advance(7 * DAY)
    settle()
    assert code(home.describe_key, KeyId=key_id) == "NotFoundException"


def test_replicas_of_imported_material_import_it_too(aws: Clients) -> None:
    home, away = aws(), aws(region=AWAY)
    key_id = home.create_key(MultiRegion=True, Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    raw = os.urandom(32)
    bring(home, key_id, raw)
    home.replicate_key(KeyId=key_id, ReplicaRegion=AWAY)
    assert state(away, key_id) == "PendingImport"
    bring(away, key_id, raw)
    blob = home.encrypt(KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]
    assert away.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
