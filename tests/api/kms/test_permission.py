"""Who may do what with a key: key policies, the caller's own policies, grants, and between accounts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from api.kms.refused import code, refusal
from clary.auth.policy import Caller, Identity, parse
from clary.auth.principals import Principal
from clary.context import Platform
from clary.errors import ServiceError
from clary.services.iam.roles import new_role
from clary.services.iam.users import new_user
from clary.services.kms import envelope
from clary.services.kms.envelope import Behalf
from clary.store import records

ACCOUNT, OTHER = "123456789012", "210987654321"
IDS = {"ann": f"AIDA{'A' * 17}", "reader": f"AROA{'R' * 17}"}
TRUST = {"AssumeRolePolicyDocument": '{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}}'}
Clients = Callable[..., Any]


def allow(actions: str | list[str] = "kms:*", resource: str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource, **more}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def user(*statements: dict[str, Any], name: str = "ann", account: str = ACCOUNT) -> Caller:
    """A caller with one identity policy, or with none."""
    principal = Principal("user", account, f"arn:aws:iam::{account}:user/{name}", IDS.get(name, ""))
    return Caller(principal, Identity((parse(document(*statements)),) if statements else ()))


@pytest.fixture(autouse=True)
def known(platform: Platform) -> None:
    """The user ann and the role reader, whom policies and grants name."""
    made = new_user(ACCOUNT, {"UserName": "ann"}, 0.0), new_role(ACCOUNT, {"RoleName": "reader", **TRUST}, 0.0)
    for record, member in zip(made, ("UserId", "RoleId"), strict=True):
        record.document[member] = IDS[str(record.name)]
        platform.stores.records.write(lambda connection, record=record: records.insert(connection, record))


ACCOUNTS_POLICIES = {"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}
ANN = {"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/ann"}}


def test_the_default_policy_leaves_it_to_iam(aws: Clients) -> None:
    root = aws()
    one, two = (root.create_key()["KeyMetadata"] for _ in range(2))
    ann = aws(caller=user(allow(["kms:Encrypt", "kms:Decrypt"], one["Arn"])))
    blob = ann.encrypt(KeyId=one["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    assert ann.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    assert refusal(ann.encrypt, KeyId=two["KeyId"], Plaintext=b"x") == (
        "AccessDeniedException",
        f"User: arn:aws:iam::{ACCOUNT}:user/ann is not authorized to perform: kms:Encrypt on resource: {two['Arn']} "
        "because no identity-based policy allows the kms:Encrypt action",
    )
    moved = {"CiphertextBlob": blob, "DestinationKeyId": one["KeyId"]}
    assert "kms:ReEncryptFrom" in refusal(ann.re_encrypt, **moved)[1]
    assert code(ann.disable_key, KeyId=one["KeyId"]) == "AccessDeniedException"
    nobody = aws(caller=user())
    for call in (nobody.create_key, nobody.list_keys, nobody.list_aliases):
        assert code(call) == "AccessDeniedException"
    assert code(nobody.generate_random, NumberOfBytes=1) == "AccessDeniedException"


def test_without_the_key_policys_leave_nobody_comes_in(aws: Clients) -> None:
    """Not even the account's root, as with AWS."""
    root = aws()
    key = root.create_key(Policy=document({**allow(), **ANN}), BypassPolicyLockoutSafetyCheck=True)["KeyMetadata"]
    assert "no resource-based policy allows the kms:DescribeKey" in refusal(root.describe_key, KeyId=key["KeyId"])[1]
    assert code(aws(caller=user(allow(), name="bob")).describe_key, KeyId=key["KeyId"]) == "AccessDeniedException"
    ann = aws(caller=user())
    assert ann.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["Arn"] == key["Arn"]
    denying = document({**allow(), **ACCOUNTS_POLICIES}, {**allow("kms:Decrypt"), **ANN, "Effect": "Deny"})
    ann.put_key_policy(KeyId=key["KeyId"], Policy=denying, BypassPolicyLockoutSafetyCheck=True)
    blob = root.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    said = refusal(aws(caller=user(allow())).decrypt, CiphertextBlob=blob)[1]
    assert said.endswith("with an explicit deny in a resource-based policy")


def test_conditions_on_the_encryption_context(aws: Clients) -> None:
    key = aws().create_key()["KeyMetadata"]
    condition = {"StringEquals": {"kms:EncryptionContext:project": "blue"}}
    ann = aws(caller=user(allow("kms:GenerateDataKey*", key["Arn"], Condition=condition)))
    given = {"KeyId": key["KeyId"], "KeySpec": "AES_256"}
    assert ann.generate_data_key(EncryptionContext={"project": "blue"}, **given)["Plaintext"]
    assert code(ann.generate_data_key, EncryptionContext={"project": "red"}, **given) == "AccessDeniedException"
    assert code(ann.generate_data_key, **given) == "AccessDeniedException"


def test_conditions_on_tags_and_aliases(aws: Clients) -> None:
    root = aws()
    blue, red = (
        root.create_key(Tags=[{"TagKey": "Project", "TagValue": value}])["KeyMetadata"] for value in ("blue", "red")
    )
    root.create_alias(AliasName="alias/red", TargetKeyId=red["KeyId"])
    by_tag = aws(caller=user(allow("kms:Encrypt", Condition={"StringEquals": {"aws:ResourceTag/Project": "blue"}})))
    by_alias = aws(
        caller=user(allow("kms:Encrypt", Condition={"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/red"}}))
    )
    by_name = aws(caller=user(allow("kms:Encrypt", Condition={"StringEquals": {"kms:RequestAlias": "alias/red"}})))
    for client, key_id, allowed in (
        (by_tag, blue["KeyId"], True),
        (by_tag, red["KeyId"], False),
        (by_alias, red["KeyId"], True),
        (by_alias, blue["KeyId"], False),
        (by_name, "alias/red", True),
        (by_name, red["KeyId"], False),
    ):
        if allowed:
            client.encrypt(KeyId=key_id, Plaintext=b"x")
        else:
            assert code(client.encrypt, KeyId=key_id, Plaintext=b"x") == "AccessDeniedException"


def test_a_grant_lets_in_whom_no_policy_does(aws: Clients) -> None:
    root = aws()
    key = root.create_key()["KeyMetadata"]
    blob = root.encrypt(KeyId=key["KeyId"], Plaintext=b"x", EncryptionContext={"a": "1"})["CiphertextBlob"]
    ann, given = aws(caller=user()), {"CiphertextBlob": blob, "EncryptionContext": {"a": "1"}}
    assert code(ann.decrypt, **given) == "AccessDeniedException"
    made = root.create_grant(
        KeyId=key["KeyId"],
        GranteePrincipal=f"arn:aws:iam::{ACCOUNT}:user/ann",
        Operations=["Decrypt", "RetireGrant"],
        Constraints={"EncryptionContextEquals": {"a": "1"}},
    )
    assert ann.decrypt(**given)["Plaintext"] == b"x"
    other = root.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    assert code(ann.decrypt, CiphertextBlob=other) == "AccessDeniedException"
    assert code(ann.encrypt, KeyId=key["KeyId"], Plaintext=b"x") == "AccessDeniedException"
    bob = aws(caller=user(name="bob"))
    assert code(bob.retire_grant, GrantToken=made["GrantToken"]) == "AccessDeniedException"
    assert code(ann.revoke_grant, KeyId=key["KeyId"], GrantId=made["GrantId"]) == "AccessDeniedException"
    ann.retire_grant(GrantToken=made["GrantToken"])
    assert code(ann.decrypt, **given) == "AccessDeniedException"


def test_a_grant_gives_no_more_than_the_session_leaves(aws: Clients) -> None:
    root = aws()
    key = root.create_key()["KeyMetadata"]
    blob = root.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    role = f"arn:aws:iam::{ACCOUNT}:role/reader"
    root.create_grant(KeyId=key["KeyId"], GranteePrincipal=role, Operations=["Decrypt"])
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/s"
    session = Principal("role-session", ACCOUNT, arn, f"{IDS['reader']}:s", "", "reader", IDS["reader"])
    assert aws(caller=Caller(session)).decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    for narrowed in (
        Identity(session=(parse(document(allow("s3:*"))),)),
        Identity(boundary=parse(document(allow("s3:*")))),
        Identity((parse(document({**allow("kms:Decrypt"), "Effect": "Deny"})),)),
    ):
        assert code(aws(caller=Caller(session, narrowed)).decrypt, CiphertextBlob=blob) == "AccessDeniedException"


def test_between_accounts_both_have_to_allow(aws: Clients) -> None:
    root = aws()
    shared = {**allow(["kms:Encrypt", "kms:Decrypt"]), "Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"}}
    key = root.create_key(Policy=document({**allow(), **ACCOUNTS_POLICIES}, shared))["KeyMetadata"]
    may = aws(caller=user(allow("kms:*", key["Arn"]), account=OTHER))
    blob = may.encrypt(KeyId=key["Arn"], Plaintext=b"x")["CiphertextBlob"]
    assert may.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    assert root.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    assert code(may.describe_key, KeyId=key["Arn"]) == "AccessDeniedException"
    every = document({**allow(), "Principal": {"AWS": [f"arn:aws:iam::{each}:root" for each in (ACCOUNT, OTHER)]}})
    root.put_key_policy(KeyId=key["KeyId"], Policy=every)
    grantee = {"GranteePrincipal": f"arn:aws:iam::{OTHER}:root", "Operations": ["Decrypt"]}
    made = may.create_grant(KeyId=key["Arn"], **grantee)["GrantId"]
    (told,) = may.list_grants(KeyId=key["Arn"])["Grants"]
    assert (told["GrantId"], told["IssuingAccount"]) == (made, f"arn:aws:iam::{OTHER}:root")
    assert [each["GrantId"] for each in root.list_grants(KeyId=key["KeyId"])["Grants"]] == [made]
    may.revoke_grant(KeyId=key["Arn"], GrantId=made)
    assert code(may.put_key_policy, KeyId=key["Arn"], Policy=every) == "AccessDeniedException", "not abroad, ever"
    assert code(may.schedule_key_deletion, KeyId=key["Arn"]) == "AccessDeniedException"
    may_not = aws(caller=user(allow("kms:Describe*"), account=OTHER))
    assert code(may_not.encrypt, KeyId=key["Arn"], Plaintext=b"x") == "AccessDeniedException"
    assert code(may_not.decrypt, CiphertextBlob=blob) == "AccessDeniedException"


def test_services_ask_for_their_callers(aws: Clients, platform: Platform) -> None:
    key = aws().create_key()["KeyMetadata"]
    through = {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}
    ann = user(allow(["kms:GenerateDataKey", "kms:Decrypt"], key["Arn"], Condition=through))
    anns, context = Behalf(platform, ann.principal, ann), {"a": "b"}
    made, _ = envelope.generate(anns, key["Arn"], context, kept=True)
    for kept in (True, False):
        assert envelope.unwrap(anns, made.sealed, context, kept=kept) == made.plaintext
    assert code(aws(caller=ann).generate_data_key, KeyId=key["Arn"], KeySpec="AES_256") == "AccessDeniedException"
    bobs = Behalf(platform, user(name="bob").principal, user(name="bob"))
    for kept in (True, False):  # nor what is in memory since others asked
        for ask in (
            lambda kept=kept: envelope.generate(bobs, key["Arn"], context, kept=kept),
            lambda kept=kept: envelope.unwrap(bobs, made.sealed, context, kept=kept),
        ):
            with pytest.raises(ServiceError) as caught:
                ask()
            assert caught.value.code == "AccessDeniedException"
    managed, _ = envelope.generate(Behalf(platform, ann.principal, user(allow())), "alias/aws/s3", {})
    assert len(managed.plaintext) == 32


def test_a_grant_gives_on_no_more_than_it_gives(aws: Clients) -> None:
    root, narrow = aws(), {"EncryptionContextSubset": {"a": "b"}}
    key = root.create_key()["KeyMetadata"]["KeyId"]
    arn = f"arn:aws:iam::{ACCOUNT}:user/ann"
    root.create_grant(KeyId=key, GranteePrincipal=arn, Operations=["CreateGrant", "Encrypt"], Constraints=narrow)
    ann = aws(caller=user())

    def passed_on(*operations: str, **constraints: Any) -> str:
        given = {"KeyId": key, "GranteePrincipal": arn, "Operations": list(operations)}
        if constraints:
            given["Constraints"] = constraints
        try:
            ann.create_grant(**given)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "made"

    denied = "AccessDeniedException"
    assert passed_on("Decrypt", **narrow) == passed_on("Encrypt", "Decrypt", **narrow) == denied
    assert passed_on("Encrypt") == passed_on("Encrypt", EncryptionContextSubset={"a": "c"}) == denied
    assert (
        passed_on("Encrypt", **narrow) == passed_on("Encrypt", EncryptionContextEquals={"a": "b", "c": "d"}) == "made"
    )
    assert code(ann.decrypt, KeyId=key, CiphertextBlob=_sealed(root, key), EncryptionContext={"a": "b"}) == denied
    exact = {"EncryptionContextEquals": {"x": "y"}}
    root.create_grant(KeyId=key, GranteePrincipal=arn, Operations=["CreateGrant", "Decrypt"], Constraints=exact)
    assert passed_on("Decrypt", EncryptionContextSubset={"x": "y"}) == denied
    assert passed_on("Decrypt", EncryptionContextEquals={"x": "y", "z": "z"}) == denied
    assert passed_on("Decrypt", **exact) == "made"


def _sealed(root: Any, key: str) -> bytes:
    blob: bytes = root.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"a": "b"})["CiphertextBlob"]
    return blob


def test_the_alias_asked_by_is_all_of_its_name(aws: Clients) -> None:
    root = aws()
    key = root.create_key()["KeyMetadata"]["KeyId"]
    for name in ("alias/mine", "alias/x/alias/mine"):
        root.create_alias(AliasName=name, TargetKeyId=key)
    ann = aws(caller=user(allow("kms:Encrypt", Condition={"StringEquals": {"kms:RequestAlias": "alias/mine"}})))
    assert ann.encrypt(KeyId="alias/mine", Plaintext=b"x")
    assert code(ann.encrypt, KeyId="alias/x/alias/mine", Plaintext=b"x") == "AccessDeniedException"
