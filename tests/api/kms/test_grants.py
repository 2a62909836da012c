"""Grants and their tokens."""

from __future__ import annotations

from typing import Any

import pytest

from api.kms.refused import code, refusal

ROLE = "arn:aws:iam::123456789012:role/reader"
USER = "arn:aws:iam::123456789012:user/keeper"


@pytest.fixture
def key_id(kms: Any) -> str:
    made: str = kms.create_key()["KeyMetadata"]["KeyId"]
    return made


def test_grants_are_made_listed_and_ended(kms: Any, key_id: str) -> None:
    terms = {"Operations": ["Decrypt", "DescribeKey"], "Constraints": {"EncryptionContextSubset": {"a": "b"}}}
    one = kms.create_grant(KeyId=key_id, GranteePrincipal=ROLE, RetiringPrincipal=USER, Name="one", **terms)
    two = kms.create_grant(KeyId=key_id, GranteePrincipal=USER, Operations=["Encrypt"])
    told = kms.list_grants(KeyId=key_id, GrantId=one["GrantId"])["Grants"]
    assert len(told) == 1 and told[0].pop("CreationDate")
    assert told[0] == {
        "KeyId": kms.describe_key(KeyId=key_id)["KeyMetadata"]["Arn"],
        "GrantId": one["GrantId"],
        "Name": "one",
        "GranteePrincipal": ROLE,
        "RetiringPrincipal": USER,
        "IssuingAccount": "arn:aws:iam::123456789012:root",
        **terms,
    }
    listed = kms.list_grants(KeyId=key_id, GranteePrincipal=USER)["Grants"]
    assert [each["GrantId"] for each in listed] == [two["GrantId"]]
    retirable = kms.list_retirable_grants(RetiringPrincipal=USER)["Grants"]
    assert [each["GrantId"] for each in retirable] == [one["GrantId"]]
    kms.revoke_grant(KeyId=key_id, GrantId=two["GrantId"])
    kms.retire_grant(GrantToken=one["GrantToken"])
    assert kms.list_grants(KeyId=key_id)["Grants"] == []
    assert refusal(kms.revoke_grant, KeyId=key_id, GrantId=two["GrantId"]) == (
        "NotFoundException",
        f"Grant ID {two['GrantId']} not found",
    )
    assert code(kms.retire_grant, GrantToken=one["GrantToken"]) == "NotFoundException"


def test_a_request_that_is_repeated_makes_no_second_grant(kms: Any, key_id: str) -> None:
    given = {"KeyId": key_id, "GranteePrincipal": ROLE, "Operations": ["Decrypt"], "Name": "same"}
    one, two = kms.create_grant(**given), kms.create_grant(**given)
    assert one["GrantId"] == two["GrantId"] and one["GrantToken"] != two["GrantToken"]
    other = kms.create_grant(**{**given, "Operations": ["Encrypt"]})
    assert other["GrantId"] != one["GrantId"]
    kms.retire_grant(KeyId=key_id, GrantId=one["GrantId"])
    assert len(kms.list_grants(KeyId=key_id)["Grants"]) == 1


def test_tokens_have_to_be_of_grants_that_there_are(kms: Any, key_id: str) -> None:
    made = kms.create_grant(KeyId=key_id, GranteePrincipal=ROLE, Operations=["Encrypt"])
    given = {"KeyId": key_id, "Plaintext": b"x"}
    kms.encrypt(GrantTokens=[made["GrantToken"]], **given)
    assert code(kms.encrypt, GrantTokens=["made up"], **given) == "InvalidGrantTokenException"
    kms.revoke_grant(KeyId=key_id, GrantId=made["GrantId"])
    assert code(kms.encrypt, GrantTokens=[made["GrantToken"]], **given) == "InvalidGrantTokenException"


def test_operations_that_a_key_has_not(kms: Any, key_id: str) -> None:
    pair = kms.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    for where, operation in ((key_id, "Sign"), (pair, "GenerateDataKey"), (pair, "Encrypt"), (key_id, "GetPublicKey")):
        given = {"KeyId": where, "GranteePrincipal": ROLE, "Operations": [operation]}
        assert code(kms.create_grant, **given) == "ValidationException"
    kms.create_grant(KeyId=pair, GranteePrincipal=ROLE, Operations=["Sign", "GetPublicKey", "CreateGrant"])
    assert code(kms.create_grant, KeyId=key_id, GranteePrincipal=ROLE, Operations=["DECRYPT"]) == "ValidationException"
    dry = {"KeyId": key_id, "GranteePrincipal": ROLE, "Operations": ["Decrypt"], "DryRun": True}
    assert code(kms.create_grant, **dry) == "DryRunOperationException"
    assert kms.list_grants(KeyId=key_id)["Grants"] == []


def test_pages_of_grants(kms: Any, key_id: str) -> None:
    made = {kms.create_grant(KeyId=key_id, GranteePrincipal=ROLE, Operations=["Decrypt"])["GrantId"] for _ in range(5)}
    pages = list(kms.get_paginator("list_grants").paginate(KeyId=key_id, PaginationConfig={"PageSize": 2}))
    assert {each["GrantId"] for page in pages for each in page["Grants"]} == made
    assert len(pages) == 3
