"""Keys and what hangs on them: metadata, states, deletion, aliases, tags, policies."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from api.kms.refused import code, refusal
from clary.context import Platform
from clary.services.kms.keys import arn_of
from clary.store import records
from clary.testing.frozen_clock import FrozenClock

ACCOUNT, DAY = "123456789012", 86_400.0
NOBODY = "1234abcd-12ab-34cd-56ef-1234567890ab"
ALL_SPECS = {
    "RSA_2048": ("ENCRYPT_DECRYPT", "EncryptionAlgorithms", 2),
    "RSA_3072": ("SIGN_VERIFY", "SigningAlgorithms", 6),
    "ECC_NIST_P256": ("SIGN_VERIFY", "SigningAlgorithms", 1),
    "ECC_NIST_P384": ("KEY_AGREEMENT", "KeyAgreementAlgorithms", 1),
    "ECC_NIST_P521": ("SIGN_VERIFY", "SigningAlgorithms", 1),
    "ECC_SECG_P256K1": ("SIGN_VERIFY", "SigningAlgorithms", 1),
    "ECC_NIST_EDWARDS25519": ("SIGN_VERIFY", "SigningAlgorithms", 1),
    "HMAC_224": ("GENERATE_VERIFY_MAC", "MacAlgorithms", 1),
    "HMAC_512": ("GENERATE_VERIFY_MAC", "MacAlgorithms", 1),
}


def test_a_plain_key(kms: Any) -> None:
    made = kms.create_key(Description="first")["KeyMetadata"]
    assert made == kms.describe_key(KeyId=made["KeyId"])["KeyMetadata"]
    assert made["Arn"] == f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{made['KeyId']}"
    assert len(made.pop("CurrentKeyMaterialId")) == 64
    del made["Arn"], made["KeyId"], made["CreationDate"]
    assert made == {
        "AWSAccountId": ACCOUNT,
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "Description": "first",
        "Enabled": True,
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "KeyManager": "CUSTOMER",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "KeyState": "Enabled",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "MultiRegion": False,
        "Origin": "AWS_KMS",
    }


@pytest.mark.parametrize("spec", ALL_SPECS)
def test_every_spec(kms: Any, spec: str) -> None:
    usage, member, count = ALL_SPECS[spec]
    made = kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]
    assert (made["KeySpec"], made["CustomerMasterKeySpec"], made["KeyUsage"]) == (spec, spec, usage)
    assert len(made[member]) == count
    assert "CurrentKeyMaterialId" not in made


def test_what_no_key_can_be_made_of(kms: Any) -> None:
    assert refusal(kms.create_key, KeySpec="HMAC_256") == (
        "ValidationException",
        "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
    )
    assert refusal(kms.create_key, KeySpec="RSA_2048", KeyUsage="KEY_AGREEMENT") == (
        "ValidationException",
        "KeyUsage KEY_AGREEMENT is not compatible with KeySpec RSA_2048",
    )
    assert "KeySpec SM2" in refusal(kms.create_key, KeySpec="SM2", KeyUsage="SIGN_VERIFY")[1]
    assert "ML_DSA_44" in refusal(kms.create_key, KeySpec="ML_DSA_44", KeyUsage="SIGN_VERIFY")[1]
    assert "CustomKeyStoreId" in refusal(kms.create_key, CustomKeyStoreId="cks-1234567890abcdef0")[1]
    assert "AWS_CLOUDHSM" in refusal(kms.create_key, Origin="AWS_CLOUDHSM")[1]
    assert code(kms.create_key, KeySpec="RSA_2048", CustomerMasterKeySpec="RSA_2048") == "ValidationException"
    assert kms.list_keys()["Keys"] == []


def test_key_ids_that_lead_nowhere(kms: Any) -> None:
    not_there = f"Key 'arn:aws:kms:us-east-1:{ACCOUNT}:key/{NOBODY}' does not exist"
    assert refusal(kms.describe_key, KeyId=NOBODY) == ("NotFoundException", not_there)
    assert refusal(kms.describe_key, KeyId=arn_of(ACCOUNT, "us-east-1", NOBODY)) == ("NotFoundException", not_there)
    assert refusal(kms.describe_key, KeyId="fake") == ("NotFoundException", "Invalid keyId 'fake'")
    assert refusal(kms.describe_key, KeyId=NOBODY.replace("-", ""))[1].startswith("Invalid keyId")
    assert refusal(kms.describe_key, KeyId=arn_of(ACCOUNT, "eu-west-1", NOBODY)) == (
        "NotFoundException",
        "Invalid arn eu-west-1",
    )
    assert refusal(kms.describe_key, KeyId="alias/none") == (
        "NotFoundException",
        f"Alias arn:aws:kms:us-east-1:{ACCOUNT}:alias/none is not found.",
    )


def test_an_account_sees_nothing_of_another(aws: Callable[..., Any]) -> None:
    """The same words for what is there and for what is not."""
    mine, other = aws(), aws("210987654321")
    key = mine.create_key()["KeyMetadata"]
    blob = mine.encrypt(KeyId=key["KeyId"], Plaintext=b"mine")["CiphertextBlob"]
    there, nowhere = key["Arn"], arn_of(ACCOUNT, "us-east-1", NOBODY)
    said = {refusal(other.describe_key, KeyId=arn)[1].replace(arn, "") for arn in (there, nowhere)}
    assert len(said) == 1 and "is not authorized to perform: kms:DescribeKey" in said.pop()
    assert code(other.describe_key, KeyId=key["KeyId"]) == "NotFoundException"
    assert code(other.decrypt, CiphertextBlob=blob) == "AccessDeniedException"
    assert other.list_keys()["Keys"] == []


def test_disabled_keys_do_nothing(kms: Any) -> None:
    key = kms.create_key()["KeyMetadata"]
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    kms.disable_key(KeyId=key["KeyId"])
    told = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
    assert (told["Enabled"], told["KeyState"]) == (False, "Disabled")
    disabled = ("DisabledException", f"{key['Arn']} is disabled.")
    assert refusal(kms.encrypt, KeyId=key["KeyId"], Plaintext=b"x") == disabled
    assert refusal(kms.decrypt, CiphertextBlob=blob) == disabled
    assert refusal(kms.generate_data_key, KeyId=key["KeyId"], KeySpec="AES_256") == disabled
    assert refusal(kms.rotate_key_on_demand, KeyId=key["KeyId"]) == disabled
    kms.enable_key(KeyId=key["KeyId"])
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


def test_deletion_is_scheduled_called_off_and_carried_out(
    kms: Any, clock: FrozenClock, platform: Platform, settle: Callable[[], None]
) -> None:
    key = kms.create_key(Tags=[{"TagKey": "a", "TagValue": "b"}])["KeyMetadata"]
    key_id, arn = key["KeyId"], key["Arn"]
    kms.create_alias(AliasName="alias/doomed", TargetKeyId=key_id)
    blob = kms.encrypt(KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]
    for days in (6, 31):
        assert code(kms.schedule_key_deletion, KeyId=key_id, PendingWindowInDays=days) == "ValidationException"
    told = kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
    assert (told["KeyId"], told["KeyState"], told["PendingWindowInDays"]) == (arn, "PendingDeletion", 7)
    assert told["DeletionDate"].timestamp() == clock.now() + 7 * DAY
    pending = ("KMSInvalidStateException", f"{arn} is pending deletion.")
    assert refusal(kms.decrypt, CiphertextBlob=blob) == pending
    assert refusal(kms.schedule_key_deletion, KeyId=key_id) == pending
    assert refusal(kms.enable_key, KeyId=key_id) == pending
    assert refusal(kms.tag_resource, KeyId=key_id, Tags=[]) == pending
    assert refusal(kms.create_alias, AliasName="alias/late", TargetKeyId=key_id) == pending
    assert kms.cancel_key_deletion(KeyId=key_id)["KeyId"] == arn
    assert kms.describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"] == "Disabled"
    assert refusal(kms.cancel_key_deletion, KeyId=key_id)[1] == f"{arn} is not pending deletion."

    kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
    clock.advance(7 * DAY - 1)
    settle()
    assert kms.describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    clock.advance(1)
    assert code(kms.describe_key, KeyId=key_id) == "NotFoundException", "before anybody carried it out"
    assert code(kms.decrypt, CiphertextBlob=blob) == "AccessDeniedException"
    settle()
    assert platform.stores.records.read(lambda connection: records.by_arn(connection, arn)) is None
    assert kms.list_aliases()["Aliases"] == [] and kms.list_keys()["Keys"] == []
    assert code(kms.cancel_key_deletion, KeyId=key_id) == "NotFoundException"


def test_listing_keys_page_by_page(kms: Any) -> None:
    made = {kms.create_key()["KeyMetadata"]["Arn"] for _ in range(5)}
    pages = list(kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 2}))
    assert [len(page["Keys"]) for page in pages] == [2, 2, 1]
    assert [page["Truncated"] for page in pages] == [True, True, False]
    assert {key["KeyArn"] for page in pages for key in page["Keys"]} == made
    assert code(kms.list_keys, Marker="forged") == "InvalidMarkerException"
    assert code(kms.list_aliases, Marker=pages[0]["NextMarker"]) == "InvalidMarkerException"


def test_aliases(kms: Any) -> None:
    first, second = (kms.create_key()["KeyMetadata"] for _ in range(2))
    signing = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
    kms.create_alias(AliasName="alias/one/two_3-4", TargetKeyId=first["Arn"])
    told = kms.list_aliases(KeyId=first["KeyId"])["Aliases"]
    assert [(each["AliasName"], each["TargetKeyId"]) for each in told] == [("alias/one/two_3-4", first["KeyId"])]
    assert kms.describe_key(KeyId=told[0]["AliasArn"])["KeyMetadata"]["Arn"] == first["Arn"]
    assert refusal(kms.create_alias, AliasName="alias/one/two_3-4", TargetKeyId=second["KeyId"]) == (
        "AlreadyExistsException",
        f"An alias with the name {told[0]['AliasArn']} already exists",
    )
    kms.update_alias(AliasName="alias/one/two_3-4", TargetKeyId=second["KeyId"])
    assert kms.describe_key(KeyId="alias/one/two_3-4")["KeyMetadata"]["Arn"] == second["Arn"]
    assert code(kms.update_alias, AliasName="alias/one/two_3-4", TargetKeyId=signing["KeyId"]) == "ValidationException"
    assert code(kms.disable_key, KeyId="alias/one/two_3-4") == "NotFoundException", "by id or ARN only"
    kms.delete_alias(AliasName="alias/one/two_3-4")
    assert code(kms.delete_alias, AliasName="alias/one/two_3-4") == "NotFoundException"
    assert kms.list_aliases()["Aliases"] == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("one", "ValidationException"),
        ("alias/a:b", "ValidationException"),
        ("alias/", "ValidationException"),
        ("alias/aws/s3", "NotAuthorizedException"),
    ],
)
def test_names_that_aliases_may_not_have(kms: Any, name: str, expected: str) -> None:
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    assert code(kms.create_alias, AliasName=name, TargetKeyId=key_id) == expected
    assert refusal(kms.create_alias, AliasName="alias/b", TargetKeyId="alias/a") == (
        "ValidationException",
        "Aliases must refer to keys. Not aliases",
    )


def test_tags(kms: Any) -> None:
    pair = [{"TagKey": "b", "TagValue": "1"}, {"TagKey": "a", "TagValue": ""}]
    key_id = kms.create_key(Tags=pair)["KeyMetadata"]["KeyId"]
    kms.tag_resource(KeyId=key_id, Tags=[{"TagKey": "b", "TagValue": "2"}, {"TagKey": "c", "TagValue": "3"}])
    kms.untag_resource(KeyId=key_id, TagKeys=["c", "none"])
    first = kms.list_resource_tags(KeyId=key_id, Limit=1)
    assert first["Tags"] == [{"TagKey": "a", "TagValue": ""}] and first["Truncated"]
    rest = kms.list_resource_tags(KeyId=key_id, Marker=first["NextMarker"])
    assert rest["Tags"] == [{"TagKey": "b", "TagValue": "2"}] and not rest["Truncated"]
    for tags, said in (
        ([{"TagKey": "AWS:x", "TagValue": "1"}], "Tags beginning with aws: are reserved"),
        ([{"TagKey": "x", "TagValue": "1"}] * 2, "Duplicate tag keys"),
        ([{"TagKey": f"k{number}", "TagValue": ""} for number in range(49)], "Too many tags"),
    ):
        assert refusal(kms.tag_resource, KeyId=key_id, Tags=tags) == ("TagException", said)


def policy(**changes: Any) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": "kms:*",
        "Resource": "*",
        **changes,
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_key_policies(kms: Any) -> None:
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    told = kms.get_key_policy(KeyId=key_id)
    assert told["PolicyName"] == "default"
    assert json.loads(told["Policy"])["Statement"] == [
        {
            "Sid": "Enable IAM User Permissions",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            "Action": "kms:*",
            "Resource": "*",
        }
    ]
    kms.put_key_policy(KeyId=key_id, Policy=policy(Sid="mine"))
    assert kms.get_key_policy(KeyId=key_id, PolicyName="default")["Policy"] == policy(Sid="mine")
    assert kms.list_key_policies(KeyId=key_id)["PolicyNames"] == ["default"]
    assert code(kms.get_key_policy, KeyId=key_id, PolicyName="other") == "NotFoundException"


def test_policies_that_lock_out_or_mean_nothing(kms: Any) -> None:
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    reading = policy(Action=["kms:Describe*", "kms:Get*"])
    lockout = "The new key policy will not allow you to update the key policy in the future."
    assert refusal(kms.put_key_policy, KeyId=key_id, Policy=reading) == ("MalformedPolicyDocumentException", lockout)
    assert refusal(kms.create_key, Policy=policy(Effect="Deny"))[1] == lockout
    for text in ("my policy", "{}", json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow"}]})):
        assert code(kms.put_key_policy, KeyId=key_id, Policy=text) == "MalformedPolicyDocumentException"
    kms.put_key_policy(KeyId=key_id, Policy=reading, BypassPolicyLockoutSafetyCheck=True)
    assert kms.get_key_policy(KeyId=key_id)["Policy"] == reading


def test_aws_managed_keys_are_for_services(kms: Any) -> None:
    told = kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]
    assert told["KeyManager"] == "AWS"
    assert kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]["Arn"] == told["Arn"], "made once"
    assert kms.get_key_rotation_status(KeyId=told["KeyId"])["KeyRotationEnabled"] is True
    assert [each["AliasName"] for each in kms.list_aliases()["Aliases"]] == ["alias/aws/s3"]
    for call, given in (
        (kms.encrypt, {"Plaintext": b"x"}),
        (kms.disable_key, {}),
        (kms.schedule_key_deletion, {}),
        (kms.create_grant, {"GranteePrincipal": f"arn:aws:iam::{ACCOUNT}:root", "Operations": ["Decrypt"]}),
    ):
        assert code(call, KeyId=told["KeyId"], **given) == "AccessDeniedException"
    assert code(kms.describe_key, KeyId="alias/aws/nothing") == "NotFoundException"


def test_nothing_in_the_store_tells_the_material(kms: Any, platform: Platform) -> None:
    """What the records hold of a key is of no use without the root key."""
    key = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
    record = platform.stores.records.read(lambda connection: records.by_arn(connection, key["Arn"]))
    assert record is not None
    (kept,) = record.document["Materials"]
    assert kept.keys() == {"Id", "State", "Since", "Sealed", "Public"}
    assert len(kept["Sealed"]) > 200 and key["KeyId"] not in kept["Sealed"]
