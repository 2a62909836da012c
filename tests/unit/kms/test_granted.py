"""Whom a grant lets do what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clary.auth.principals import Principal
from clary.services.kms import granted
from clary.store import records
from clary.store.engine import SqliteDatabase
from clary.store.records import Record
from clary.store.schema import RECORDS

ACCOUNT = "123456789012"
ROLE, USER = "AROA", "AIDA"  # grants are kept with unique ids
SESSION = Principal(
    "role-session",
    ACCOUNT,
    f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/s",
    f"{ROLE}:s",
    role="path/reader",
    behind=ROLE,
)
KEEPER = Principal("user", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/keeper", USER)
STRANGER = Principal("user", "210987654321", "arn:aws:iam::210987654321:user/keeper", "AIDB")
KEY = Record("kms-key", ACCOUNT, "us-east-1", "arn:key", "key", "", 0.0, 0.0, {})


def grant(**terms: Any) -> Record:
    document = {"GranteePrincipal": ROLE, "Operations": ["Decrypt"], **terms}
    return Record("kms-grant", ACCOUNT, "us-east-1", "arn:key/grant/g", "g", "", 0.0, 0.0, document, KEY.arn)


@pytest.mark.parametrize(
    ("terms", "principal", "operation", "context", "expected"),
    [
        ({}, SESSION, "Decrypt", {}, True),
        ({}, SESSION, "Encrypt", {}, False),
        ({}, KEEPER, "Decrypt", {}, False),
        ({"GranteePrincipal": USER}, KEEPER, "Decrypt", {}, True),
        ({"GranteePrincipal": SESSION.user_id}, SESSION, "Decrypt", {}, True),
        ({"GranteePrincipal": f"arn:aws:iam::{ACCOUNT}:root"}, KEEPER, "Decrypt", {}, True),
        ({"GranteePrincipal": f"arn:aws:iam::{ACCOUNT}:root"}, STRANGER, "Decrypt", {}, False),
        ({"GranteePrincipal": STRANGER.user_id}, STRANGER, "Decrypt", {}, True),
        ({"GranteePrincipal": KEEPER.arn}, KEEPER, "Decrypt", {}, False),
        ({"Constraints": {"EncryptionContextSubset": {"a": "1"}}}, SESSION, "Decrypt", {"a": "1", "b": "2"}, True),
        ({"Constraints": {"EncryptionContextSubset": {"a": "1"}}}, SESSION, "Decrypt", {"a": "2"}, False),
        ({"Constraints": {"EncryptionContextEquals": {"a": "1"}}}, SESSION, "Decrypt", {"a": "1"}, True),
        ({"Constraints": {"EncryptionContextEquals": {"a": "1"}}}, SESSION, "Decrypt", {"a": "1", "b": "2"}, False),
        ({"Constraints": {"EncryptionContextEquals": {"a": "1"}}}, SESSION, "Decrypt", {}, False),
    ],
)
def test_who_may_do_what(
    tmp_path: Path,
    terms: dict[str, Any],
    principal: Principal,
    operation: str,
    context: dict[str, str],
    expected: bool,
) -> None:
    database = SqliteDatabase(str(tmp_path / "records.db"), RECORDS)
    try:
        database.write(lambda connection: records.insert(connection, grant(**terms)))
        assert expected == database.read(
            lambda connection: granted.granted(connection, KEY, principal, operation, context)
        )
    finally:
        database.close()


def test_who_may_retire() -> None:
    assert granted.retires(grant(RetiringPrincipal=USER), KEEPER)
    assert not granted.retires(grant(RetiringPrincipal=USER), SESSION)
    assert granted.retires(grant(Operations=["RetireGrant"]), SESSION)
    assert not granted.retires(grant(), SESSION)
