"""Several accounts in one server: how they are made, and that none sees another."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from api.iam.refusals import refusal
from api.iam.two_accounts import SECOND, accounts, second_root
from clary.services.iam import account_file
from clary.services.iam.account_file import InvalidAccounts
from clary.store.schema import RECORDS

POLICY = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}})
TRUST = json.dumps({"Statement": {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}})
IAM_READ = "arn:aws:iam::aws:policy/IAMReadOnlyAccess"
ALICE = {"name": "alice", "policies": [IAM_READ]}


def apply(server: Any, *wanted: dict[str, Any]) -> list[Any]:
    return accounts(server).apply(account_file.read({"accounts": list(wanted)}))


def test_a_file_is_made_true_and_can_be_said_again(aws: Callable[..., Any], server: Any) -> None:
    key = {"access_key_id": "AKIASECONDSECONDSEC1", "secret_access_key": "a-secret-of-the-second"}
    wanted = {"id": SECOND, "name": "second", **key, "users": [ALICE]}
    drawn = apply(server, wanted)
    assert [(account, user) for account, user, _ in drawn] == [(SECOND, "alice")]
    assert apply(server, wanted) == []
    first, second = accounts(server).every()
    assert (first.account, second.account, second.name, second.users) == ("123456789012", SECOND, "second", 1)
    root = aws("sts", (key["access_key_id"], key["secret_access_key"])).get_caller_identity()
    assert (root["Account"], root["Arn"]) == (SECOND, f"arn:aws:iam::{SECOND}:root")
    assert aws("sts").get_access_key_info(AccessKeyId=key["access_key_id"])["Account"] == SECOND
    alice = aws("iam", (drawn[0][2].access_key, drawn[0][2].secret_key))
    assert alice.get_user()["User"]["Arn"] == f"arn:aws:iam::{SECOND}:user/alice"
    assert alice.list_roles()["Roles"][0]["Arn"].startswith(f"arn:aws:iam::{SECOND}:role/service-role/")
    assert refusal(alice.create_user, UserName="bob")[0] == "AccessDenied"
    other = {"access_key_id": "AKIASECONDSECONDSEC2", "secret_access_key": "another-secret-of-it"}
    apply(server, {"id": SECOND, **other})
    assert [each.name for each in accounts(server).every()] == ["", "second"]
    aws("sts", (other["access_key_id"], other["secret_access_key"])).get_caller_identity()
    server.reopen()
    gone = refusal(aws("sts", (key["access_key_id"], key["secret_access_key"])).get_caller_identity)
    assert gone[0] == "InvalidClientTokenId"


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"id": 222222222222}, "twelve digits"),
        ({"id": SECOND, "keys": []}, "'keys' is not known"),
        ({"id": SECOND, "access_key_id": "AKIASECONDSECONDSEC1"}, "come together"),
        ({"id": SECOND, "users": [{"name": "a b"}]}, "no user's name"),
        ({"id": SECOND, "users": [{"name": "a", "policies": ["arn:aws:iam::aws:policy/None"]}]}, "there is no policy"),
        ({"id": "123456789012", "access_key_id": "A" * 16, "secret_access_key": "b" * 16}, "CLARY_ROOT_ACCESS_KEY_ID"),
    ],
)
def test_a_wrong_file_changes_nothing(server: Any, wanted: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidAccounts, match=words):
        apply(server, wanted)
    assert len(accounts(server).every()) == 1


def test_somebody_elses_key_is_refused(server: Any) -> None:
    key = {"access_key_id": "AKIASECONDSECONDSEC1", "secret_access_key": "a-secret-of-the-second"}
    apply(server, {"id": SECOND, **key})
    with pytest.raises(InvalidAccounts, match="somebody else's"):
        apply(server, {"id": "333333333333", **key})
    with pytest.raises(InvalidAccounts, match="named twice"):
        apply(server, {"id": SECOND}, {"id": SECOND})


def test_secrets_are_not_in_the_database(aws: Callable[..., Any], server: Any) -> None:
    secrets = [second_root(server)[1]]
    aws("iam").create_user(UserName="u")
    key = aws("iam").create_access_key(UserName="u")["AccessKey"]
    aws("iam").create_login_profile(UserName="u", Password="Pass-word-of-mine")
    session = aws("sts", (key["AccessKeyId"], key["SecretAccessKey"])).get_session_token()["Credentials"]
    secrets += [key["SecretAccessKey"], session["SecretAccessKey"], session["SessionToken"], "Pass-word-of-mine"]
    kept = server.platform.stores.records.read(everything)
    if not server.settings.database_url:  # in files, where what was overwritten may be found too
        kept += b"".join(path.read_bytes() for path in Path(server.settings.data).iterdir())
    assert key["AccessKeyId"].encode() in kept
    assert not [secret for secret in secrets if secret.encode() in kept]


def everything(connection: Connection) -> bytes:
    """All rows of the records' database."""
    rows = (row for table in RECORDS.sorted_tables for row in connection.execute(sa.select(table)))
    return "".join(map(repr, rows)).encode()


def furnish(iam: Any) -> dict[str, str]:
    """One of everything that IAM keeps; the ARNs of those that are named by theirs."""
    iam.create_user(UserName="u")
    iam.create_login_profile(UserName="u", Password="Pass-word")
    iam.put_user_policy(UserName="u", PolicyName="in", PolicyDocument=POLICY)
    iam.create_group(GroupName="g")
    iam.put_group_policy(GroupName="g", PolicyName="in", PolicyDocument=POLICY)
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    iam.put_role_policy(RoleName="r", PolicyName="in", PolicyDocument=POLICY)
    iam.create_instance_profile(InstanceProfileName="p")
    iam.create_account_alias(AccountAlias="mine")
    iam.update_account_password_policy(MinimumPasswordLength=9)
    iam.create_service_linked_role(AWSServiceName="ecs.amazonaws.com")
    provider = iam.create_open_id_connect_provider(Url="https://issuer.example")
    return {
        "PolicyArn": iam.create_policy(PolicyName="own", PolicyDocument=POLICY)["Policy"]["Arn"],
        "OpenIDConnectProviderArn": provider["OpenIDConnectProviderArn"],
        "AccessKeyId": iam.create_access_key(UserName="u")["AccessKey"]["AccessKeyId"],
    }


BY_NAME = [
    *(
        ("User", each)
        for each in ("get_user", "delete_user", "list_access_keys", "list_user_tags", "get_login_profile")
    ),
    *(("User", each) for each in ("list_user_policies", "list_attached_user_policies", "list_groups_for_user")),
    *(("User", each) for each in ("create_access_key", "delete_login_profile", "delete_user_permissions_boundary")),
    *(("Group", each) for each in ("get_group", "delete_group", "list_group_policies", "list_attached_group_policies")),
    *(("Role", each) for each in ("get_role", "delete_role", "list_role_policies", "list_attached_role_policies")),
    *(("Role", each) for each in ("list_role_tags", "list_instance_profiles_for_role", "update_role")),
    *(("InstanceProfile", each) for each in ("get_instance_profile", "delete_instance_profile")),
]
BY_ARN = {
    "get_policy": "PolicyArn",
    "delete_policy": "PolicyArn",
    "list_policy_versions": "PolicyArn",
    "list_policy_tags": "PolicyArn",
    "list_entities_for_policy": "PolicyArn",
    "get_open_id_connect_provider": "OpenIDConnectProviderArn",
    "delete_open_id_connect_provider": "OpenIDConnectProviderArn",
    "list_open_id_connect_provider_tags": "OpenIDConnectProviderArn",
    "get_access_key_last_used": "AccessKeyId",
}
LISTED = {
    "list_users": "Users",
    "list_groups": "Groups",
    "list_instance_profiles": "InstanceProfiles",
    "list_open_id_connect_providers": "OpenIDConnectProviderList",
    "list_account_aliases": "AccountAliases",
}


def test_not_yours_is_told_as_not_there(aws: Callable[..., Any], server: Any) -> None:
    arns, theirs = furnish(aws("iam")), aws("iam", second_root(server))
    names = {"User": "u", "Group": "g", "Role": "r", "InstanceProfile": "p"}
    for noun, operation in BY_NAME:
        work, member = getattr(theirs, operation), f"{noun}Name"
        foreign, missing = (refusal(work, **{member: name}) for name in (names[noun], "none"))
        assert foreign == (missing[0], missing[1].replace("none", names[noun]), missing[2]), operation
    for operation, member in BY_ARN.items():
        arn, work = arns[member], getattr(theirs, operation)
        foreign, missing = (refusal(work, **{member: each}) for each in (arn, f"{arn}X"))
        assert foreign == (missing[0], missing[1].replace(f"{arn}X", arn), missing[2]), operation
    assert refusal(theirs.get_account_password_policy)[0] == "NoSuchEntity"
    for operation, member in LISTED.items():
        assert getattr(theirs, operation)()[member] == [], operation
    assert [role["RoleName"] for role in theirs.list_roles()["Roles"]] == ["AmazonSageMaker-ExecutionRole-Clary"]
    assert theirs.list_policies(Scope="Local")["Policies"] == []
    details = theirs.get_account_authorization_details()
    assert (details["UserDetailList"], details["GroupDetailList"], len(details["RoleDetailList"])) == ([], [], 1)
    theirs.create_user(UserName="u")
    theirs.attach_user_policy(UserName="u", PolicyArn=IAM_READ)
    assert refusal(theirs.attach_user_policy, UserName="u", PolicyArn=arns["PolicyArn"])[0] == "NoSuchEntity"
    mine = aws("iam")
    assert mine.get_policy(PolicyArn=arns["PolicyArn"])["Policy"]["AttachmentCount"] == 0
    assert mine.get_open_id_connect_provider(OpenIDConnectProviderArn=arns["OpenIDConnectProviderArn"])["Url"]
    assert mine.list_attached_user_policies(UserName="u")["AttachedPolicies"] == []
