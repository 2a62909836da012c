"""Who may assume a role, and what the session may do."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from api.iam.refusals import refusal
from api.iam.served import credentials
from api.iam.two_accounts import SECOND, second_root

FIRST = "123456789012"
Client = Callable[..., Any]


def allow(action: Any, **others: Any) -> str:
    statement = {"Effect": "Allow", "Action": action, **({"Resource": "*"} if "Principal" not in others else {})}
    return json.dumps({"Version": "2012-10-17", "Statement": {**statement, **others}})


def trusting(iam: Any, name: str, principal: Any, action: Any = "sts:AssumeRole", **others: Any) -> str:
    document = allow(action, Principal=principal, **others)
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    return arn


def user(iam: Any, name: str, *actions: str) -> tuple[str, str]:
    """The key of a new user who may do `actions`."""
    iam.create_user(UserName=name)
    if actions:
        iam.put_user_policy(UserName=name, PolicyName="may", PolicyDocument=allow(list(actions)))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


def denied(sts: Any, who: str, role: str, action: str = "sts:AssumeRole", **given: Any) -> None:
    refused = refusal(sts.assume_role, RoleArn=role, RoleSessionName="me", **given)
    assert refused == (
        "AccessDenied",
        f"User: {who} is not authorized to perform: {action} on resource: {role}",
        403,
    )


def test_trust_in_the_account_leaves_it_to_the_policies_of_its_users(aws: Client) -> None:
    iam = aws("iam")
    role = trusting(iam, "r", {"AWS": f"arn:aws:iam::{FIRST}:root"})
    allowed, other = aws("sts", user(iam, "a", "sts:AssumeRole")), aws("sts", user(iam, "b"))
    assert allowed.assume_role(RoleArn=role, RoleSessionName="me")["AssumedRoleUser"]["Arn"].endswith("r/me")
    denied(other, f"arn:aws:iam::{FIRST}:user/b", role)
    named = trusting(iam, "s", {"AWS": f"arn:aws:iam::{FIRST}:user/b"})
    other.assume_role(RoleArn=named, RoleSessionName="me")
    denied(allowed, f"arn:aws:iam::{FIRST}:user/a", named)
    denied(allowed, f"arn:aws:iam::{FIRST}:user/a", f"{named}x")
    service = trusting(iam, "t", {"Service": "sagemaker.amazonaws.com"})
    denied(allowed, f"arn:aws:iam::{FIRST}:user/a", service)
    invalid = refusal(allowed.assume_role, RoleArn="arn:aws:iam::1:role/not-an-account", RoleSessionName="me")
    assert invalid[:2] == ("ValidationError", "arn:aws:iam::1:role/not-an-account is invalid")


def test_an_external_id(aws: Client) -> None:
    condition = {"StringEquals": {"sts:ExternalId": "abc"}}
    role = trusting(aws("iam"), "r", {"AWS": "*"}, Condition=condition)
    root = f"arn:aws:iam::{FIRST}:root"
    denied(aws("sts"), root, role)
    denied(aws("sts"), root, role, ExternalId="abd")
    aws("sts").assume_role(RoleArn=role, RoleSessionName="me", ExternalId="abc")


def test_tags_and_a_source_identity_have_to_be_allowed(aws: Client) -> None:
    role, root = trusting(aws("iam"), "r", {"AWS": "*"}), f"arn:aws:iam::{FIRST}:root"
    denied(aws("sts"), root, role, "sts:TagSession", Tags=[{"Key": "k", "Value": "v"}])
    denied(aws("sts"), root, role, "sts:SetSourceIdentity", SourceIdentity="jo")


def test_a_chain_lasts_an_hour(aws: Client) -> None:
    iam = aws("iam")
    first = trusting(iam, "a", {"AWS": "*"})
    second = trusting(iam, "b", {"AWS": first})
    iam.update_role(RoleName="b", MaxSessionDuration=7200)
    given = credentials(aws("sts").assume_role(RoleArn=first, RoleSessionName="me"))
    sts = aws("sts", given.key, given.token)
    long = refusal(sts.assume_role, RoleArn=second, RoleSessionName="me", DurationSeconds=7200)
    assert long[1] == (
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
    )
    sts.assume_role(RoleArn=second, RoleSessionName="me")


def test_session_policies_narrow(aws: Client) -> None:
    iam = aws("iam")
    role = trusting(iam, "r", {"AWS": "*"})
    iam.put_role_policy(RoleName="r", PolicyName="may", PolicyDocument=allow("iam:*"))
    given = credentials(
        aws("sts").assume_role(RoleArn=role, RoleSessionName="me", Policy=allow(["iam:ListUsers", "s3:*"]))
    )
    mine = aws("iam", given.key, given.token)
    mine.list_users()
    assert refusal(mine.list_roles)[0] == "AccessDenied"
    with pytest.raises(ClientError, match="PackedPolicyTooLarge"):
        aws("sts").assume_role(RoleArn=role, RoleSessionName="me", Policy=allow("s3:" + "a" * 2048))


def test_older_sessions_are_revoked(aws: Client) -> None:
    """As AWS's console does it."""
    iam = aws("iam")
    role = trusting(iam, "r", {"AWS": "*"})
    iam.put_role_policy(RoleName="r", PolicyName="may", PolicyDocument=allow("iam:ListUsers"))
    given = credentials(aws("sts").assume_role(RoleArn=role, RoleSessionName="me"))
    mine = aws("iam", given.key, given.token)
    mine.list_users()
    now = datetime.fromtimestamp(time.time() + 1, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    older = allow("*", Effect="Deny", Condition={"DateLessThan": {"aws:TokenIssueTime": now}})
    iam.put_role_policy(RoleName="r", PolicyName="AWSRevokeOlderSessions", PolicyDocument=older)
    assert refusal(mine.list_users)[0] == "AccessDenied"


def test_federated_users(aws: Client) -> None:
    iam = aws("iam")
    key = user(iam, "u", "sts:GetFederationToken", "iam:ListUsers", "iam:ListRoles")
    sts = aws("sts", key)
    answer = sts.get_federation_token(Name="jo", Policy=allow(["iam:ListUsers", "iam:ListGroups"]))
    who = f"arn:aws:sts::{FIRST}:federated-user/jo"
    assert answer["FederatedUser"] == {"FederatedUserId": f"{FIRST}:jo", "Arn": who}
    given = credentials(answer)
    assert aws("sts", given.key, given.token).get_caller_identity()["Arn"] == who
    mine = aws("iam", given.key, given.token)
    mine.list_users()
    for work in (mine.list_roles, mine.list_groups):
        assert refusal(work)[0] == "AccessDenied"
    nothing = credentials(sts.get_federation_token(Name="jo"))
    assert refusal(aws("iam", nothing.key, nothing.token).list_users)[0] == "AccessDenied"
    of_root = credentials(aws("sts").get_federation_token(Name="jo", Policy=allow("iam:ListUsers")))
    assert of_root.until.timestamp() <= time.time() + 3601
    aws("iam", of_root.key, of_root.token).list_users()
    session = aws("sts", of_root.key, of_root.token)
    assert refusal(session.get_federation_token, Name="jo")[0] == "AccessDenied"


def test_another_account(aws: Client, server: Any) -> None:
    root = second_root(server)
    theirs, iam = aws("iam", root), aws("iam")
    trusted = trusting(iam, "open", {"AWS": f"arn:aws:iam::{SECOND}:root"})
    closed = trusting(iam, "closed", {"AWS": f"arn:aws:iam::{FIRST}:root"})
    may, may_not = aws("sts", user(theirs, "a", "sts:AssumeRole")), aws("sts", user(theirs, "b"))
    given = credentials(may.assume_role(RoleArn=trusted, RoleSessionName="me"))
    assert aws("sts", given.key, given.token).get_caller_identity()["Account"] == FIRST
    denied(may, f"arn:aws:iam::{SECOND}:user/a", closed)
    denied(may, f"arn:aws:iam::{SECOND}:user/a", f"{closed}x")
    denied(may_not, f"arn:aws:iam::{SECOND}:user/b", trusted)
