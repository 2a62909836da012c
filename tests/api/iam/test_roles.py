"""Roles and their policies, through boto3."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clary.auth.policy import checks, parse

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
POLICY = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}
S3_FULL = "arn:aws:iam::aws:policy/AmazonS3FullAccess"


@pytest.fixture
def iam(aws: Callable[..., Any]) -> Any:
    return aws("iam")


def code(work: Callable[..., Any], **given: Any) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as caught:
        work(**given)
    error, meta = caught.value.response["Error"], caught.value.response["ResponseMetadata"]
    return error["Code"], error["Message"], meta["HTTPStatusCode"]


def test_life_of_a_role(iam: Any) -> None:
    made = iam.create_role(
        RoleName="r",
        Path="/a/b/",
        AssumeRolePolicyDocument=json.dumps(TRUST),
        Description="d",
        Tags=[{"Key": "k", "Value": "v"}],
    )["Role"]
    assert made["Arn"] == "arn:aws:iam::123456789012:role/a/b/r"
    assert made["RoleId"].startswith("AROA") and len(made["RoleId"]) == 21
    got = iam.get_role(RoleName="r")["Role"]
    assert got["AssumeRolePolicyDocument"] == TRUST
    assert (got["MaxSessionDuration"], got["Description"], got["CreateDate"]) == (3600, "d", made["CreateDate"])
    iam.update_role(RoleName="r", Description="e", MaxSessionDuration=7200)
    iam.update_assume_role_policy(RoleName="r", PolicyDocument=json.dumps({**TRUST, "Id": "x"}))
    iam.tag_role(RoleName="r", Tags=[{"Key": "k", "Value": "w"}, {"Key": "l", "Value": ""}])
    iam.untag_role(RoleName="r", TagKeys=["nothing", "l"])
    got = iam.get_role(RoleName="r")["Role"]
    assert (got["Description"], got["MaxSessionDuration"], got["Tags"]) == ("e", 7200, [{"Key": "k", "Value": "w"}])
    assert got["AssumeRolePolicyDocument"]["Id"] == "x"
    assert iam.list_role_tags(RoleName="r")["Tags"] == got["Tags"]
    iam.delete_role(RoleName="r")
    assert code(iam.get_role, RoleName="r") == ("NoSuchEntity", "The role with name r cannot be found.", 404)


def test_errors(iam: Any) -> None:
    text = json.dumps(TRUST)
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=text)
    taken = code(iam.create_role, RoleName="r", Path="/x/", AssumeRolePolicyDocument=text)
    assert taken == ("EntityAlreadyExists", "Role with name r already exists.", 409)
    malformed = [
        "{",
        "[]",
        "{}",
        json.dumps({**TRUST, "Version": "2020-01-01"}),
        json.dumps(POLICY),
        json.dumps({**TRUST, "Statement": [{"Effect": "Maybe"}]}),
    ]
    for document in malformed:
        assert code(iam.create_role, RoleName="s", AssumeRolePolicyDocument=document)[0] == "MalformedPolicyDocument"
    assert code(iam.list_roles, Marker="%%")[0] == "ValidationError"
    boundary = code(iam.create_role, RoleName="t", AssumeRolePolicyDocument=text, PermissionsBoundary=f"{S3_FULL}x")
    assert boundary == ("NoSuchEntity", f"Scope ARN: {S3_FULL}x does not exist or is not attachable.", 404)
    assert code(iam.create_role, RoleName="R", AssumeRolePolicyDocument=text)[0] == "EntityAlreadyExists"
    simulated = code(
        iam.simulate_principal_policy, PolicySourceArn="arn:aws:iam::1:role/r", ActionNames=["s3:GetObject"]
    )
    assert simulated[0::2] == ("AccessDenied", 403)


def test_listing_pages(iam: Any) -> None:
    for number in range(7):
        iam.create_role(RoleName=f"r{number}", Path="/p/", AssumeRolePolicyDocument=json.dumps(TRUST))
    pages = list(iam.get_paginator("list_roles").paginate(PathPrefix="/p/", PaginationConfig={"PageSize": 3}))
    assert [[role["RoleName"] for role in page["Roles"]] for page in pages] == [
        ["r0", "r1", "r2"],
        ["r3", "r4", "r5"],
        ["r6"],
    ]
    assert "Tags" not in pages[0]["Roles"][0]


def test_inline_policies(iam: Any) -> None:
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST))
    for name in "bac":
        iam.put_role_policy(RoleName="r", PolicyName=name, PolicyDocument=json.dumps(POLICY))
    assert iam.get_role_policy(RoleName="r", PolicyName="a")["PolicyDocument"] == POLICY
    page = iam.list_role_policies(RoleName="r", MaxItems=2)
    assert (page["PolicyNames"], page["IsTruncated"]) == (["a", "b"], True)
    assert iam.list_role_policies(RoleName="r", Marker=page["Marker"])["PolicyNames"] == ["c"]
    assert code(iam.delete_role, RoleName="r") == (
        "DeleteConflict",
        "Cannot delete entity, must delete policies first.",
        409,
    )
    for name in "abc":
        iam.delete_role_policy(RoleName="r", PolicyName=name)
    assert code(iam.get_role_policy, RoleName="r", PolicyName="a")[0] == "NoSuchEntity"
    assert code(iam.put_role_policy, RoleName="r", PolicyName="a", PolicyDocument=json.dumps(TRUST))[0] == (
        "MalformedPolicyDocument"
    )
    iam.delete_role(RoleName="r")


def test_attached_policies(iam: Any) -> None:
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST))
    own = iam.create_policy(PolicyName="own", PolicyDocument=json.dumps(POLICY))["Policy"]["Arn"]
    for arn in (own, S3_FULL, own):
        iam.attach_role_policy(RoleName="r", PolicyArn=arn)
    attached = iam.list_attached_role_policies(RoleName="r")["AttachedPolicies"]
    assert attached == [
        {"PolicyName": "AmazonS3FullAccess", "PolicyArn": S3_FULL},
        {"PolicyName": "own", "PolicyArn": own},
    ]
    assert iam.get_policy(PolicyArn=own)["Policy"]["AttachmentCount"] == 1
    assert code(iam.delete_policy, PolicyArn=own)[0] == "DeleteConflict"
    assert code(iam.delete_role, RoleName="r")[1] == "Cannot delete entity, must detach all policies first."
    missing = code(iam.attach_role_policy, RoleName="r", PolicyArn=f"{own}x")
    assert missing == ("NoSuchEntity", f"Policy {own}x does not exist or is not attachable.", 404)
    for arn in (own, S3_FULL):
        iam.detach_role_policy(RoleName="r", PolicyArn=arn)
    assert code(iam.detach_role_policy, RoleName="r", PolicyArn=own)[0] == "NoSuchEntity"
    iam.delete_policy(PolicyArn=own)
    iam.delete_role(RoleName="r")


def test_policy_versions(iam: Any) -> None:
    text = json.dumps(POLICY)
    made = iam.create_policy(PolicyName="p", Path="/x/", PolicyDocument=text, Description="d")["Policy"]
    arn = made["Arn"]
    assert (arn, made["DefaultVersionId"]) == ("arn:aws:iam::123456789012:policy/x/p", "v1")
    assert code(iam.create_policy, PolicyName="p", PolicyDocument=text)[0] == "EntityAlreadyExists"
    assert not iam.create_policy_version(PolicyArn=arn, PolicyDocument=text)["PolicyVersion"]["IsDefaultVersion"]
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=text, SetAsDefault=True)
    assert iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"] == "v3"
    assert iam.get_policy_version(PolicyArn=arn, VersionId="v3")["PolicyVersion"]["Document"] == POLICY
    assert code(iam.delete_policy_version, PolicyArn=arn, VersionId="v3")[0] == "DeleteConflict"
    assert code(iam.get_policy_version, PolicyArn=arn, VersionId="v9")[0] == "NoSuchEntity"
    for _ in range(2):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=text)
    assert code(iam.create_policy_version, PolicyArn=arn, PolicyDocument=text)[0] == "LimitExceeded"
    assert code(iam.delete_policy, PolicyArn=arn)[0] == "DeleteConflict"
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
    names = [each["VersionId"] for each in iam.list_policy_versions(PolicyArn=arn)["Versions"]]
    assert names == ["v1", "v2", "v3", "v4", "v5"]
    for name in names[1:]:
        iam.delete_policy_version(PolicyArn=arn, VersionId=name)
    iam.delete_policy(PolicyArn=arn)
    assert code(iam.get_policy, PolicyArn=arn) == ("NoSuchEntity", f"Policy {arn} was not found.", 404)


def test_aws_managed_policies(iam: Any) -> None:
    iam.create_policy(PolicyName="own", PolicyDocument=json.dumps(POLICY))
    aws = {policy["PolicyName"]: policy for policy in iam.list_policies(Scope="AWS")["Policies"]}
    assert aws.keys() >= {
        "AdministratorAccess",
        "AmazonSageMakerFullAccess",
        "AmazonS3FullAccess",
        "AmazonS3ReadOnlyAccess",
        "CloudWatchFullAccess",
        "AmazonEC2ContainerRegistryFullAccess",
    }
    assert [each["PolicyName"] for each in iam.list_policies(Scope="Local")["Policies"]] == ["own"]
    assert aws["AWSLambdaBasicExecutionRole"]["Arn"].endswith(":policy/service-role/AWSLambdaBasicExecutionRole")
    for listed in aws.values():
        arn = listed["Arn"]
        policy = iam.get_policy(PolicyArn=arn)["Policy"]
        version = iam.get_policy_version(PolicyArn=arn, VersionId=policy["DefaultVersionId"])["PolicyVersion"]
        checks.identity(parse(version["Document"], arn))
        assert code(iam.delete_policy, PolicyArn=arn)[0] == "AccessDenied"
