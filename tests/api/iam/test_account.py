"""What belongs to an account: its alias and passwords; instance profiles; the roles of services; identity providers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from api.iam.refusals import refusal

TRUST = json.dumps({"Statement": {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}})


@pytest.fixture
def iam(aws: Callable[..., Any]) -> Any:
    return aws("iam")


def test_an_alias(iam: Any) -> None:
    assert iam.list_account_aliases()["AccountAliases"] == []
    iam.create_account_alias(AccountAlias="one")
    iam.create_account_alias(AccountAlias="two")
    assert iam.list_account_aliases()["AccountAliases"] == ["two"]
    assert refusal(iam.delete_account_alias, AccountAlias="one")[0] == "NoSuchEntity"
    iam.delete_account_alias(AccountAlias="two")


def test_passwords(aws: Callable[..., Any], iam: Any, server: Any) -> None:
    iam.create_user(UserName="u")
    assert refusal(iam.get_login_profile, UserName="u") == (
        "NoSuchEntity",
        "Login Profile for User u cannot be found.",
        404,
    )
    weak = refusal(iam.create_login_profile, UserName="u", Password="password")
    assert weak[0] == "PasswordPolicyViolation"
    made = iam.create_login_profile(UserName="u", Password="Pass-word", PasswordResetRequired=True)["LoginProfile"]
    assert iam.get_login_profile(UserName="u")["LoginProfile"] == made
    assert made["PasswordResetRequired"]
    taken = refusal(iam.create_login_profile, UserName="u", Password="Pass-word")
    assert taken == ("EntityAlreadyExists", "Login Profile for user u already exists.", 409)
    assert "Login" not in iam.get_user(UserName="u")["User"]
    iam.update_account_password_policy(MinimumPasswordLength=12, RequireNumbers=True)
    policy = iam.get_account_password_policy()["PasswordPolicy"]
    assert (policy["MinimumPasswordLength"], policy["RequireSymbols"], policy["ExpirePasswords"]) == (12, False, False)
    assert refusal(iam.update_login_profile, UserName="u", Password="long-enough-only")[0] == "PasswordPolicyViolation"
    iam.update_login_profile(UserName="u", Password="long-enough-4", PasswordResetRequired=False)
    iam.put_user_policy(
        UserName="u",
        PolicyName="own",
        PolicyDocument='{"Statement":{"Effect":"Allow","Action":"iam:ChangePassword","Resource":"*"}}',
    )
    key = iam.create_access_key(UserName="u")["AccessKey"]
    mine = aws("iam", (key["AccessKeyId"], key["SecretAccessKey"]))
    wrong = refusal(mine.change_password, OldPassword="Pass-word", NewPassword="something-else-5")
    assert wrong[:2] == ("AccessDenied", "The old password was incorrect.")
    mine.change_password(OldPassword="long-enough-4", NewPassword="something-else-5")
    assert refusal(iam.change_password, OldPassword="a", NewPassword="b")[0] == "InvalidUserType"
    iam.delete_access_key(UserName="u", AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName="u", PolicyName="own")
    assert refusal(iam.delete_user, UserName="u")[1] == "Cannot delete entity, must delete login profile first."
    iam.delete_login_profile(UserName="u")
    iam.delete_user(UserName="u")
    iam.delete_account_password_policy()
    assert refusal(iam.get_account_password_policy)[0] == "NoSuchEntity"


def test_instance_profiles(iam: Any) -> None:
    made = iam.create_instance_profile(InstanceProfileName="p", Path="/x/", Tags=[{"Key": "k", "Value": "v"}])
    assert made["InstanceProfile"]["Arn"] == "arn:aws:iam::123456789012:instance-profile/x/p"
    taken = refusal(iam.create_instance_profile, InstanceProfileName="p")
    assert taken == ("EntityAlreadyExists", "Instance Profile p already exists.", 409)
    for name in ("r", "s"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
    iam.add_role_to_instance_profile(InstanceProfileName="p", RoleName="r")
    second = refusal(iam.add_role_to_instance_profile, InstanceProfileName="p", RoleName="s")
    assert second == ("LimitExceeded", "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1", 409)
    got = iam.get_instance_profile(InstanceProfileName="p")["InstanceProfile"]
    assert [role["RoleName"] for role in got["Roles"]] == ["r"]
    for page in (iam.list_instance_profiles(), iam.list_instance_profiles_for_role(RoleName="r")):
        assert [each["InstanceProfileName"] for each in page["InstanceProfiles"]] == ["p"]
    assert iam.list_instance_profiles_for_role(RoleName="s")["InstanceProfiles"] == []
    busy = ("DeleteConflict", "Cannot delete entity, must remove roles from instance profile first.", 409)
    assert refusal(iam.delete_role, RoleName="r") == busy
    assert refusal(iam.delete_instance_profile, InstanceProfileName="p") == busy
    iam.tag_instance_profile(InstanceProfileName="p", Tags=[{"Key": "l", "Value": "w"}])
    iam.untag_instance_profile(InstanceProfileName="p", TagKeys=["k"])
    assert iam.list_instance_profile_tags(InstanceProfileName="p")["Tags"] == [{"Key": "l", "Value": "w"}]
    iam.remove_role_from_instance_profile(InstanceProfileName="p", RoleName="r")
    iam.delete_instance_profile(InstanceProfileName="p")
    missing = refusal(iam.get_instance_profile, InstanceProfileName="p")
    assert missing == ("NoSuchEntity", "Instance Profile p cannot be found.", 404)


def test_the_role_of_a_service(iam: Any) -> None:
    service = "sagemaker.application-autoscaling.amazonaws.com"
    role = iam.create_service_linked_role(AWSServiceName=service, Description="d")["Role"]
    name = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
    assert role["Arn"] == f"arn:aws:iam::123456789012:role/aws-service-role/{service}/{name}"
    assert refusal(iam.create_service_linked_role, AWSServiceName=service)[0] == "InvalidInput"
    protected = refusal(iam.delete_role, RoleName=name)
    assert protected[0] == "UnmodifiableEntity"
    assert protected[1].startswith(f"Cannot perform the operation on the protected role '{name}'")
    for work, given in (
        (iam.put_role_policy, {"PolicyName": "p", "PolicyDocument": _policy()}),
        (iam.update_role, {"Description": "e"}),
    ):
        assert refusal(work, RoleName=name, **given)[0] == "UnmodifiableEntity"
    task = iam.delete_service_linked_role(RoleName=name)["DeletionTaskId"]
    assert task.startswith(f"task/aws-service-role/{service}/{name}/")
    assert iam.get_service_linked_role_deletion_status(DeletionTaskId=task)["Status"] == "SUCCEEDED"
    assert refusal(iam.get_role, RoleName=name)[0] == "NoSuchEntity"


def _policy() -> str:
    return '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}'


def test_identity_providers(iam: Any) -> None:
    made = iam.create_open_id_connect_provider(
        Url="https://issuer.example/tenant", ClientIDList=["a"], ThumbprintList=["0" * 40]
    )
    arn = made["OpenIDConnectProviderArn"]
    assert arn == "arn:aws:iam::123456789012:oidc-provider/issuer.example/tenant"
    assert refusal(iam.create_open_id_connect_provider, Url="https://issuer.example/tenant")[0] == "EntityAlreadyExists"
    assert refusal(iam.create_open_id_connect_provider, Url="issuer.example")[0] == "ValidationError"
    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="b")
    iam.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="a")
    iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=arn, ThumbprintList=["1" * 40])
    iam.tag_open_id_connect_provider(OpenIDConnectProviderArn=arn, Tags=[{"Key": "k", "Value": "v"}])
    got = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert (got["Url"], got["ClientIDList"], got["ThumbprintList"]) == ("issuer.example/tenant", ["b"], ["1" * 40])
    assert got["Tags"] == [{"Key": "k", "Value": "v"}]
    assert iam.list_open_id_connect_providers()["OpenIDConnectProviderList"] == [{"Arn": arn}]
    for _ in range(2):
        iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    missing = refusal(iam.get_open_id_connect_provider, OpenIDConnectProviderArn=arn)
    assert missing == ("NoSuchEntity", f"OpenIDConnect Provider not found for arn {arn}", 404)
