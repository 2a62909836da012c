"""Who uses a managed policy, permissions boundaries, and everything of an account in one listing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from api.iam.refusals import refusal

POLICY = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}})
TRUST = json.dumps({"Statement": {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}})
S3_FULL = "arn:aws:iam::aws:policy/AmazonS3FullAccess"


@pytest.fixture
def iam(aws: Callable[..., Any]) -> Any:
    return aws("iam")


def test_the_users_of_a_policy(iam: Any) -> None:
    own = iam.create_policy(PolicyName="own", PolicyDocument=POLICY)["Policy"]["Arn"]
    iam.create_user(UserName="u", Path="/a/", PermissionsBoundary=own)
    iam.create_group(GroupName="g")
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    iam.attach_group_policy(GroupName="g", PolicyArn=own)
    iam.attach_role_policy(RoleName="r", PolicyArn=own)

    def used(**given: Any) -> list[str]:
        page = iam.list_entities_for_policy(PolicyArn=own, **given)
        return [
            *(each["UserName"] for each in page["PolicyUsers"]),
            *(each["GroupName"] for each in page["PolicyGroups"]),
            *(each["RoleName"] for each in page["PolicyRoles"]),
        ]

    assert used() == ["u", "g", "r"]
    assert used(EntityFilter="Role") == ["r"]
    assert used(PathPrefix="/a/") == ["u"]
    assert used(PolicyUsageFilter="PermissionsPolicy") == ["g", "r"]
    assert used(PolicyUsageFilter="PermissionsBoundary") == ["u"]
    pages = iam.get_paginator("list_entities_for_policy").paginate(PolicyArn=own, PaginationConfig={"PageSize": 1})
    assert len(list(pages)) == 3
    policy = iam.get_policy(PolicyArn=own)["Policy"]
    assert (policy["AttachmentCount"], policy["PermissionsBoundaryUsageCount"]) == (2, 1)
    assert [each["Arn"] for each in iam.list_policies(OnlyAttached=True, Scope="Local")["Policies"]] == [own]
    by_use = iam.list_policies(OnlyAttached=True, PolicyUsageFilter="PermissionsBoundary")["Policies"]
    assert [each["Arn"] for each in by_use] == [own]
    iam.detach_group_policy(GroupName="g", PolicyArn=own)
    iam.detach_role_policy(RoleName="r", PolicyArn=own)
    attached = ("DeleteConflict", "Cannot delete a policy attached to entities.", 409)
    assert refusal(iam.delete_policy, PolicyArn=own) == attached
    iam.delete_user_permissions_boundary(UserName="u")
    iam.delete_policy(PolicyArn=own)
    assert refusal(iam.list_entities_for_policy, PolicyArn=own)[0] == "NoSuchEntity"


def test_boundaries_come_and_go(iam: Any) -> None:
    iam.create_user(UserName="u")
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST, PermissionsBoundary=S3_FULL)
    shown = {"PermissionsBoundaryType": "PermissionsBoundaryPolicy", "PermissionsBoundaryArn": S3_FULL}
    assert iam.get_role(RoleName="r")["Role"]["PermissionsBoundary"] == shown
    assert "PermissionsBoundary" not in iam.list_roles(PathPrefix="/")["Roles"][0]
    iam.put_user_permissions_boundary(UserName="u", PermissionsBoundary=S3_FULL)
    assert iam.get_user(UserName="u")["User"]["PermissionsBoundary"] == shown
    iam.delete_role_permissions_boundary(RoleName="r")
    assert "PermissionsBoundary" not in iam.get_role(RoleName="r")["Role"]
    no_policy = "arn:aws:iam::123456789012:policy/none"
    refused = refusal(iam.put_user_permissions_boundary, UserName="u", PermissionsBoundary=no_policy)
    assert refused == ("NoSuchEntity", f"Scope ARN: {no_policy} does not exist or is not attachable.", 404)


def test_tags_of_a_policy(iam: Any) -> None:
    tags = [{"Key": "A", "Value": "1"}]
    arn = iam.create_policy(PolicyName="own", PolicyDocument=POLICY, Tags=tags)["Policy"]["Arn"]
    iam.tag_policy(PolicyArn=arn, Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": "3"}])
    assert iam.list_policy_tags(PolicyArn=arn)["Tags"] == [{"Key": "a", "Value": "2"}, {"Key": "b", "Value": "3"}]
    iam.untag_policy(PolicyArn=arn, TagKeys=["A"])
    assert iam.get_policy(PolicyArn=arn)["Policy"]["Tags"] == [{"Key": "b", "Value": "3"}]
    twice = refusal(iam.tag_policy, PolicyArn=arn, Tags=[{"Key": "x", "Value": "1"}, {"Key": "X", "Value": "2"}])
    assert twice[:2] == ("InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    many = [{"Key": str(number), "Value": ""} for number in range(50)]
    assert refusal(iam.tag_policy, PolicyArn=arn, Tags=many)[0] == "LimitExceeded"


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("{", "This policy contains invalid Json"),
        ('{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}', "must be version 2012-10-17 or greater"),
        (POLICY.replace('"s3:*"', '"s3"'), "Actions/Conditions must be prefaced by a vendor"),
        (POLICY.replace('"Resource": "*"', '"Resource": "bucket"'), 'must be in ARN format or "*"'),
        (POLICY.replace('"Resource": "*"', '"Principal": "*", "Resource": "*"'), "should not specify a principal"),
    ],
)
def test_malformed(iam: Any, document: str, words: str) -> None:
    code, message, status = refusal(iam.create_policy, PolicyName="own", PolicyDocument=document)
    assert (code, status) == ("MalformedPolicyDocument", 400)
    assert words in message


def test_everything_of_an_account(iam: Any) -> None:
    own = iam.create_policy(PolicyName="own", PolicyDocument=POLICY)["Policy"]["Arn"]
    iam.create_group(GroupName="g")
    iam.attach_group_policy(GroupName="g", PolicyArn=S3_FULL)
    iam.create_user(UserName="u")
    iam.add_user_to_group(GroupName="g", UserName="u")
    iam.put_user_policy(UserName="u", PolicyName="in", PolicyDocument=POLICY)
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    iam.create_instance_profile(InstanceProfileName="p")
    iam.add_role_to_instance_profile(InstanceProfileName="p", RoleName="r")
    everything = iam.get_account_authorization_details()
    user = everything["UserDetailList"][0]
    assert (user["GroupList"], user["UserPolicyList"]) == (
        ["g"],
        [{"PolicyName": "in", "PolicyDocument": json.loads(POLICY)}],
    )
    group = everything["GroupDetailList"][0]
    assert group["AttachedManagedPolicies"] == [{"PolicyName": "AmazonS3FullAccess", "PolicyArn": S3_FULL}]
    role = next(each for each in everything["RoleDetailList"] if each["RoleName"] == "r")
    assert role["AssumeRolePolicyDocument"] == json.loads(TRUST)
    assert role["InstanceProfileList"][0]["InstanceProfileName"] == "p"
    policies = {each["Arn"]: each for each in everything["Policies"]}
    assert policies.keys() >= {own, S3_FULL}
    assert policies[own]["PolicyVersionList"][0]["Document"] == json.loads(POLICY)
    only = iam.get_account_authorization_details(Filter=["LocalManagedPolicy"])
    assert ([each["Arn"] for each in only["Policies"]], only["RoleDetailList"]) == ([own], [])
    paginator = iam.get_paginator("get_account_authorization_details")
    pages = list(paginator.paginate(PaginationConfig={"PageSize": 1}))
    assert sum(len(page["RoleDetailList"]) for page in pages) == len(everything["RoleDetailList"])
    assert iam.get_account_summary()["SummaryMap"]["Users"] == 1
