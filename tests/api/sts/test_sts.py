"""Identities and sessions, through boto3."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from api.iam.served import credentials
from clary.services.iam import first_start, root_key
from clary.services.sts.sessions import open_session

ROLE = "arn:aws:iam::123456789012:role/service-role/AmazonSageMaker-ExecutionRole-Clary"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
SESSION_ARN = "arn:aws:sts::123456789012:assumed-role/AmazonSageMaker-ExecutionRole-Clary/me"


def refusal(work: Callable[..., Any], **given: Any) -> str:
    with pytest.raises(ClientError) as caught:
        work(**given)
    return str(caught.value.response["Error"]["Code"])


def test_root(aws: Callable[..., Any], server: Any) -> None:
    sts = aws("sts")
    got = sts.get_caller_identity()
    assert (got["Arn"], got["UserId"]) == ("arn:aws:iam::123456789012:root", "123456789012")
    assert sts.get_access_key_info(AccessKeyId=root_key.load(server.settings).access_key)["Account"] == "123456789012"
    assert refusal(sts.get_access_key_info, AccessKeyId="AKIANOBODYKNOWSTHIS0") == "ValidationError"


def test_assume_role(aws: Callable[..., Any], server: Any) -> None:
    answer = aws("sts").assume_role(
        RoleArn=ROLE, RoleSessionName="me", ExternalId="abc", PolicyArns=[{"arn": READ_ONLY}]
    )
    given = credentials(answer)
    assert given.key[0].startswith("ASIA")
    assert 3590 < given.until.timestamp() - time.time() <= 3600
    assert answer["AssumedRoleUser"]["Arn"] == SESSION_ARN
    assert answer["PackedPolicySize"] == 2
    mine = aws("sts", given.key, given.token)
    got = mine.get_caller_identity()
    assert (got["Arn"], got["UserId"]) == (SESSION_ARN, answer["AssumedRoleUser"]["AssumedRoleId"])
    assert aws("sts").get_access_key_info(AccessKeyId=given.key[0])["Account"] == "123456789012"
    found = server.gate._keyring.find(given.key[0]).principal
    assert (found.kind, found.role) == ("role-session", "service-role/AmazonSageMaker-ExecutionRole-Clary")
    assert refusal(mine.get_session_token) == "AccessDenied"


def test_a_session_outlives_a_restart(aws: Callable[..., Any], server: Any) -> None:
    given = credentials(aws("sts").assume_role(RoleArn=ROLE, RoleSessionName="me"))
    server.reopen()
    assert aws("sts", given.key, given.token).get_caller_identity()["Arn"] == SESSION_ARN


def test_tokens_are_checked(aws: Callable[..., Any]) -> None:
    given = credentials(aws("sts").assume_role(RoleArn=ROLE, RoleSessionName="me"))
    other = credentials(aws("sts").assume_role(RoleArn=ROLE, RoleSessionName="me"))
    assert refusal(aws("sts", given.key).get_caller_identity) == "InvalidClientTokenId"
    assert refusal(aws("sts", given.key, other.token).get_caller_identity) == "InvalidClientTokenId"


def test_refused(aws: Callable[..., Any]) -> None:
    sts = aws("sts")
    assert refusal(sts.assume_role, RoleArn=f"{ROLE}x", RoleSessionName="me") == "AccessDenied"
    foreign = ROLE.replace("123456789012", "999999999999")
    assert refusal(sts.assume_role, RoleArn=foreign, RoleSessionName="me") == "AccessDenied"
    too_long = refusal(sts.assume_role, RoleArn=ROLE, RoleSessionName="me", DurationSeconds=43_201)
    assert too_long == "ValidationError"
    broken = refusal(sts.assume_role, RoleArn=ROLE, RoleSessionName="me", Policy="{")
    assert broken == "MalformedPolicyDocument"
    code = {"SerialNumber": "arn:aws:iam::123456789012:mfa/me", "TokenCode": "123456"}
    assert refusal(sts.assume_role, RoleArn=ROLE, RoleSessionName="me", **code) == "ValidationError"


def test_an_expired_session(aws: Callable[..., Any], server: Any) -> None:
    made = open_session(server.platform.stores.records, server.platform.secrets, ROLE, "me", -5, server.clock)
    expired = aws("sts", (made.access_key, made.secret_key), made.session_token)
    assert refusal(expired.get_caller_identity) == "ExpiredToken"


def test_open_session(aws: Callable[..., Any], server: Any) -> None:
    role = first_start.default_role_arn(server.settings)
    made = open_session(server.platform.stores.records, server.platform.secrets, role, "me", 900, server.clock)
    assert made.expires > time.time() + 890
    assert (
        aws("sts", (made.access_key, made.secret_key), made.session_token).get_caller_identity()["Arn"] == SESSION_ARN
    )


def test_a_session_ends_with_its_role(aws: Callable[..., Any]) -> None:
    iam, trust = aws("iam"), '{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}}'
    arn = iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    given = credentials(aws("sts").assume_role(RoleArn=arn, RoleSessionName="me"))
    iam.delete_role(RoleName="r")
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust)
    assert refusal(aws("sts", given.key, given.token).get_caller_identity) == "InvalidClientTokenId"


def test_get_session_token(aws: Callable[..., Any]) -> None:
    iam = aws("iam")
    user = iam.create_user(UserName="u")["User"]
    key = iam.create_access_key(UserName="u")["AccessKey"]
    given = credentials(aws("sts", (key["AccessKeyId"], key["SecretAccessKey"])).get_session_token(DurationSeconds=900))
    mine = aws("sts", given.key, given.token)
    assert mine.get_caller_identity()["Arn"] == user["Arn"]
    assert refusal(mine.get_session_token) == "AccessDenied"
    root = credentials(aws("sts").get_session_token())
    assert root.until.timestamp() - time.time() <= 3600
    assert aws("sts", root.key, root.token).get_caller_identity()["Arn"] == "arn:aws:iam::123456789012:root"


def test_messages_that_nobody_encoded_here(aws: Callable[..., Any]) -> None:
    assert (
        refusal(aws("sts").decode_authorization_message, EncodedMessage="x") == "InvalidAuthorizationMessageException"
    )
    aws("iam").create_user(UserName="u")
    key = aws("iam").create_access_key(UserName="u")["AccessKey"]
    mine = aws("sts", (key["AccessKeyId"], key["SecretAccessKey"]))
    assert refusal(mine.decode_authorization_message, EncodedMessage="x") == "AccessDenied"
