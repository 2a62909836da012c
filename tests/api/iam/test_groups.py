"""Groups: who is in them, and what they are given."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from api.iam.refusals import refusal
from clary.services.iam.standing import identity_of

POLICY = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}})
S3_FULL = "arn:aws:iam::aws:policy/AmazonS3FullAccess"


@pytest.fixture
def iam(aws: Callable[..., Any]) -> Any:
    return aws("iam")


def names(page: Any, member: str) -> list[str]:
    return [each[f"{member}Name"] for each in page[f"{member}s"]]


def test_life_of_a_group(iam: Any) -> None:
    made = iam.create_group(GroupName="g", Path="/team/")["Group"]
    assert made["Arn"] == "arn:aws:iam::123456789012:group/team/g"
    assert made["GroupId"].startswith("AGPA")
    assert refusal(iam.create_group, GroupName="G") == ("EntityAlreadyExists", "Group with name G already exists.", 409)
    for name in ("u", "v", "w"):
        iam.create_user(UserName=name)
    for name in ("v", "u", "v"):
        iam.add_user_to_group(GroupName="g", UserName=name)
    got = iam.get_group(GroupName="g")
    assert (got["Group"], names(got, "User"), got["IsTruncated"]) == (made, ["u", "v"], False)
    assert names(iam.get_group(GroupName="g", MaxItems=1), "User") == ["u"]
    assert names(iam.list_groups_for_user(UserName="u"), "Group") == ["g"]
    assert names(iam.list_groups(PathPrefix="/team/"), "Group") == ["g"]
    assert names(iam.list_groups(PathPrefix="/other/"), "Group") == []
    in_group = ("DeleteConflict", "Cannot delete entity, must remove users from group first.", 409)
    assert refusal(iam.delete_group, GroupName="g") == in_group
    assert refusal(iam.delete_user, UserName="u") == in_group
    for name in ("u", "v"):
        iam.remove_user_from_group(GroupName="g", UserName=name)
    iam.delete_group(GroupName="g")
    gone = ("NoSuchEntity", "The group with name g cannot be found.", 404)
    for work in (iam.get_group, iam.delete_group, iam.list_group_policies, iam.list_attached_group_policies):
        assert refusal(work, GroupName="g") == gone
    assert refusal(iam.add_user_to_group, GroupName="g", UserName="u") == gone


def test_a_user_is_in_ten_groups_at_most(iam: Any) -> None:
    iam.create_user(UserName="u")
    for number in range(11):
        iam.create_group(GroupName=f"g{number}")
    for number in range(10):
        iam.add_user_to_group(GroupName=f"g{number}", UserName="u")
    over = refusal(iam.add_user_to_group, GroupName="g10", UserName="u")
    assert over == ("LimitExceeded", "Cannot exceed quota for GroupsPerUser: 10", 409)


def test_what_a_group_is_given_its_users_have(aws: Callable[..., Any], server: Any, iam: Any) -> None:
    iam.create_user(UserName="u")
    key = iam.create_access_key(UserName="u")["AccessKey"]["AccessKeyId"]
    group = iam.create_group(GroupName="g")["Group"]["Arn"]
    iam.put_group_policy(GroupName="g", PolicyName="in", PolicyDocument=POLICY)
    iam.attach_group_policy(GroupName="g", PolicyArn=S3_FULL)
    iam.add_user_to_group(GroupName="g", UserName="u")

    def owners() -> list[tuple[str, str]]:
        principal = server.gate._keyring.find(key).principal
        found = server.platform.stores.records.read(lambda connection: identity_of(connection, principal))
        return [(each.name, each.owner) for each in found.policies]

    assert owners() == [("in", group), (S3_FULL, group)]
    iam.update_group(GroupName="g", NewGroupName="h", NewPath="/x/")
    moved = "arn:aws:iam::123456789012:group/x/h"
    assert iam.get_group(GroupName="h")["Group"]["Arn"] == moved
    assert owners() == [("in", moved), (S3_FULL, moved)]
    assert iam.get_group_policy(GroupName="h", PolicyName="in")["PolicyDocument"] == json.loads(POLICY)
    missing = refusal(iam.get_group_policy, GroupName="h", PolicyName="no")
    assert missing[1] == "The group policy with name no cannot be found."
    iam.delete_group_policy(GroupName="h", PolicyName="in")
    iam.detach_group_policy(GroupName="h", PolicyArn=S3_FULL)
    assert owners() == []
    assert refusal(iam.delete_group_policy, GroupName="h", PolicyName="in")[0] == "NoSuchEntity"
    long = POLICY.replace("s3:*", "s3:" + "a" * 5120)
    over = refusal(iam.put_group_policy, GroupName="h", PolicyName="in", PolicyDocument=long)
    assert over == ("LimitExceeded", "Maximum policy size of 5120 bytes exceeded for group h", 409)


def test_a_renamed_user_keeps_what_is_his(aws: Callable[..., Any], iam: Any) -> None:
    iam.create_user(UserName="u", Tags=[{"Key": "k", "Value": "v"}])
    iam.create_group(GroupName="g")
    iam.add_user_to_group(GroupName="g", UserName="u")
    iam.put_user_policy(UserName="u", PolicyName="in", PolicyDocument=POLICY)
    key = iam.create_access_key(UserName="u")["AccessKey"]
    iam.create_user(UserName="taken")
    assert refusal(iam.update_user, UserName="u", NewUserName="Taken")[0] == "EntityAlreadyExists"
    iam.update_user(UserName="u", NewUserName="U", NewPath="/p/")
    assert refusal(iam.get_user, UserName="u")[0] == "NoSuchEntity"
    assert iam.get_user(UserName="U")["User"]["Tags"] == [{"Key": "k", "Value": "v"}]
    assert names(iam.get_group(GroupName="g"), "User") == ["U"]
    assert iam.list_user_policies(UserName="U")["PolicyNames"] == ["in"]
    mine = aws("sts", (key["AccessKeyId"], key["SecretAccessKey"]))
    assert mine.get_caller_identity()["Arn"] == "arn:aws:iam::123456789012:user/p/U"
    assert iam.list_access_keys(UserName="U")["AccessKeyMetadata"][0]["UserName"] == "U"
