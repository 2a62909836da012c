"""Users and their keys, through boto3; and what a new server has."""

from __future__ import annotations

import stat
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from api.iam.served import credentials
from clary.services.iam import first_start, root_key


def refusal(work: Callable[..., Any], **given: Any) -> str:
    with pytest.raises(ClientError) as caught:
        work(**given)
    return str(caught.value.response["Error"]["Code"])


def test_life_of_a_user(aws: Callable[..., Any]) -> None:
    iam = aws("iam")
    made = iam.create_user(UserName="u", Path="/team/")["User"]
    assert made["Arn"] == "arn:aws:iam::123456789012:user/team/u"
    assert iam.get_user(UserName="u")["User"] == made
    assert [user["UserName"] for user in iam.list_users()["Users"]] == ["u"]
    assert refusal(iam.create_user, UserName="u") == "EntityAlreadyExists"
    keys = [iam.create_access_key(UserName="u")["AccessKey"] for _ in range(2)]
    assert refusal(iam.create_access_key, UserName="u") == "LimitExceeded"
    assert refusal(iam.delete_user, UserName="u") == "DeleteConflict"
    assert len(iam.list_access_keys(UserName="u")["AccessKeyMetadata"]) == 2
    for key in keys:
        assert len(key["AccessKeyId"]) == 20
        iam.delete_access_key(UserName="u", AccessKeyId=key["AccessKeyId"])
    assert refusal(iam.delete_access_key, UserName="u", AccessKeyId=keys[0]["AccessKeyId"]) == "NoSuchEntity"
    iam.delete_user(UserName="u")
    assert refusal(iam.get_user, UserName="u") == "NoSuchEntity"


def test_a_users_key_works_until_it_is_made_inactive(aws: Callable[..., Any]) -> None:
    iam = aws("iam")
    user = iam.create_user(UserName="u")["User"]
    iam.attach_user_policy(UserName="u", PolicyArn="arn:aws:iam::aws:policy/IAMFullAccess")
    key = iam.create_access_key(UserName="u")["AccessKey"]
    sts = aws("sts", (key["AccessKeyId"], key["SecretAccessKey"]))
    assert sts.get_caller_identity()["Arn"] == user["Arn"]
    assert sts.get_caller_identity()["UserId"] == user["UserId"]
    own = aws("iam", (key["AccessKeyId"], key["SecretAccessKey"]))
    assert own.get_user()["User"]["UserName"] == "u"
    own.update_access_key(AccessKeyId=key["AccessKeyId"], Status="Inactive")
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            sts.get_caller_identity()
        except ClientError as error:
            assert error.response["Error"]["Code"] == "InvalidClientTokenId"
            return
    pytest.fail("an inactive key still opens the gate")


def test_the_root(aws: Callable[..., Any]) -> None:
    assert aws("iam").get_user()["User"]["Arn"] == "arn:aws:iam::123456789012:root"
    wrong = aws("iam", ("AKIANOBODYKNOWSTHIS0", "x"))
    assert refusal(wrong.get_user) == "InvalidClientTokenId"


def test_wrong_secret(aws: Callable[..., Any], server: Any) -> None:
    key = root_key.load(server.settings)
    assert refusal(aws("sts", (key.access_key, "not the secret")).get_caller_identity) == "SignatureDoesNotMatch"


def test_first_start(aws: Callable[..., Any], server: Any) -> None:
    path = root_key.path(server.settings)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    before = root_key.load(server.settings)
    assert before.secret_key not in repr(before)
    iam = aws("iam")
    name = "AmazonSageMaker-ExecutionRole-Clary"
    role = iam.get_role(RoleName=name)["Role"]
    assert role["Arn"] == first_start.default_role_arn(server.settings)
    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Service"] == "sagemaker.amazonaws.com"
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    assert [each["PolicyName"] for each in attached] == ["AmazonS3FullAccess", "AmazonSageMakerFullAccess"]
    server.reopen()
    assert root_key.load(server.settings) == before
    assert iam.get_role(RoleName=name)["Role"]["RoleId"] == role["RoleId"]


def test_when_a_key_and_a_role_were_used_last(aws: Callable[..., Any]) -> None:
    iam = aws("iam")
    iam.create_user(UserName="u")
    key = iam.create_access_key(UserName="u")["AccessKey"]
    assert iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"]) | {"ResponseMetadata": None} == {
        "UserName": "u",
        "AccessKeyLastUsed": {"ServiceName": "N/A", "Region": "N/A"},
        "ResponseMetadata": None,
    }
    aws("sts", (key["AccessKeyId"], key["SecretAccessKey"])).get_caller_identity()
    used = iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])["AccessKeyLastUsed"]
    assert (used["ServiceName"], used["Region"]) == ("sts", "us-east-1")
    assert time.time() - used["LastUsedDate"].timestamp() < 60
    trust = '{"Statement":{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}}'
    arn = iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    assert iam.get_role(RoleName="r")["Role"]["RoleLastUsed"] == {}
    given = credentials(aws("sts").assume_role(RoleArn=arn, RoleSessionName="me"))
    aws("sts", given.key, given.token).get_caller_identity()
    assert iam.get_role(RoleName="r")["Role"]["RoleLastUsed"]["Region"] == "us-east-1"
