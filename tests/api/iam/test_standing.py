"""What is said of a principal to whoever decides what it may do."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from api.iam.served import credentials
from clary.auth.principals import ANONYMOUS, Principal
from clary.services.iam import generation, managed
from clary.services.iam.standing import Identity, identity_of

TRUST = {"Statement": {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ["sts:AssumeRole", "sts:TagSession"]}}
NAMING = {"Statement": {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:*"}}
S3_READ = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"


def policy(action: str) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": action, "Resource": "*"}})


@pytest.fixture
def identity(server: Any) -> Callable[[Principal], Identity]:
    return lambda principal: server.platform.stores.records.read(lambda connection: identity_of(connection, principal))


def principal(server: Any, key: str) -> Principal:
    found = server.gate._keyring.find(key)
    assert found is not None
    return found.principal


def test_a_roles_session(aws: Callable[..., Any], server: Any, identity: Callable[[Principal], Identity]) -> None:
    iam, tags = aws("iam"), [{"Key": "team", "Value": "a"}, {"Key": "cost", "Value": "1"}]
    role = iam.create_role(RoleName="r", Path="/x/", AssumeRolePolicyDocument=json.dumps(NAMING), Tags=tags)["Role"]
    own = iam.create_policy(PolicyName="own", PolicyDocument=policy("s3:GetObject"))["Policy"]["Arn"]
    iam.create_policy_version(PolicyArn=own, PolicyDocument=policy("s3:PutObject"), SetAsDefault=True)
    for arn in (own, S3_READ):
        iam.attach_role_policy(RoleName="r", PolicyArn=arn)
    iam.put_role_policy(RoleName="r", PolicyName="in", PolicyDocument=policy("logs:*"))
    given = credentials(
        aws("sts").assume_role(
            RoleArn=role["Arn"],
            RoleSessionName="me",
            Policy=policy("s3:Get*"),
            PolicyArns=[{"arn": S3_READ}],
            Tags=[{"Key": "team", "Value": "b"}],
            SourceIdentity="jo",
        )
    )
    found = identity(principal(server, given.key[0]))
    assert (found.arn, found.boundary, found.tags) == (role["Arn"], None, {"team": "b", "cost": "1"})
    assert [(each.source, each.name, each.owner) for each in found.policies] == [
        ("inline", "in", role["Arn"]),
        ("managed", own, role["Arn"]),
        ("managed", S3_READ, role["Arn"]),
    ]
    assert "s3:PutObject" in found.policies[1].text
    assert found.session is not None
    assert [each.text for each in found.session] == [policy("s3:Get*"), managed.find(S3_READ).document]
    assert found.issued == given.until.timestamp() - 3600 + found.issued % 1
    assert found.context == {"aws:sourceidentity": ["jo"]}


def test_transitive_tags_and_the_source_identity_go_on(
    aws: Callable[..., Any], server: Any, identity: Callable[[Principal], Identity]
) -> None:
    arn = aws("iam").create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(NAMING))["Role"]["Arn"]
    first = aws("sts").assume_role(
        RoleArn=arn,
        RoleSessionName="one",
        Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}],
        TransitiveTagKeys=["b"],
        SourceIdentity="jo",
    )
    sts = aws("sts", credentials(first).key, credentials(first).token)
    second = sts.assume_role(RoleArn=arn, RoleSessionName="two", Tags=[{"Key": "a", "Value": "3"}])
    assert second["SourceIdentity"] == "jo"
    found = identity(principal(server, credentials(second).key[0]))
    assert (found.tags, found.session) == ({"a": "3", "b": "2"}, None)
    with pytest.raises(sts.exceptions.ClientError, match="conflicts with a transitive tag key"):
        sts.assume_role(RoleArn=arn, RoleSessionName="two", Tags=[{"Key": "b", "Value": "3"}])


def test_a_user_and_those_without_policies(
    aws: Callable[..., Any], server: Any, identity: Callable[[Principal], Identity]
) -> None:
    user = aws("iam").create_user(UserName="u", Tags=[{"Key": "k", "Value": "v"}])["User"]
    key = aws("iam").create_access_key(UserName="u")["AccessKey"]
    found = identity(principal(server, key["AccessKeyId"]))
    assert found == Identity(user["Arn"], tags={"k": "v"})
    token = credentials(aws("sts", (key["AccessKeyId"], key["SecretAccessKey"])).get_session_token())
    temporary = identity(principal(server, token.key[0]))
    assert (temporary.arn, temporary.session) == (user["Arn"], None)
    assert temporary.issued is not None
    assert identity(ANONYMOUS) == Identity("")


def test_every_write_is_a_new_generation(aws: Callable[..., Any], server: Any) -> None:
    iam, seen = aws("iam"), [server.platform.stores.records.read(generation.current)]

    def changed(work: Callable[..., Any], **given: Any) -> None:
        work(**given)
        seen.append(server.platform.stores.records.read(generation.current))

    changed(iam.create_role, RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST))
    changed(iam.put_role_policy, RoleName="r", PolicyName="in", PolicyDocument=policy("logs:*"))
    changed(iam.attach_role_policy, RoleName="r", PolicyArn=S3_READ)
    changed(iam.update_assume_role_policy, RoleName="r", PolicyDocument=json.dumps(TRUST))
    changed(iam.create_user, UserName="u")
    changed(iam.create_access_key, UserName="u")
    assert seen == sorted(set(seen)) and seen[0] > 0
    aws("sts").assume_role(RoleArn=iam.get_role(RoleName="r")["Role"]["Arn"], RoleSessionName="me")
    assert server.platform.stores.records.read(generation.current) == seen[-1]
