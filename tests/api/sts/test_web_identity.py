"""Sessions for whom an identity provider vouches."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config

from api.iam.refusals import refusal
from api.iam.served import credentials
from api.sts.issuer import Issuer, issuer
from clary.services.iam.standing import identity_of

CLIENT = "my-client"


@pytest.fixture
def idp() -> Iterator[Issuer]:
    with issuer() as made:
        yield made


@pytest.fixture
def role(aws: Callable[..., Any], idp: Issuer) -> str:
    """Trusts a subject of the issuer's."""
    iam, name = aws("iam"), idp.url.partition("://")[2]
    provider = iam.create_open_id_connect_provider(Url=idp.url, ClientIDList=[CLIENT])["OpenIDConnectProviderArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": provider},
        "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"],
        "Condition": {"StringEquals": {f"{name}:aud": CLIENT}, "StringLike": {f"{name}:sub": "repo:mine/*"}},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    arn: str = iam.create_role(RoleName="web", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    return arn


@pytest.fixture
def sts(server: Any, boto: boto3.Session) -> Any:
    """Without any key."""
    config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1})
    return boto.client("sts", endpoint_url=server.url, config=config)


def claims(idp: Issuer, **others: Any) -> dict[str, Any]:
    now = time.time()
    return {"iss": idp.url, "aud": CLIENT, "sub": "repo:mine/x", "iat": now, "exp": now + 600, **others}


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_session(aws: Callable[..., Any], server: Any, sts: Any, idp: Issuer, role: str, algorithm: str) -> None:
    tags = {"https://aws.amazon.com/tags": {"principal_tags": {"team": ["a"]}, "transitive_tag_keys": ["team"]}}
    token = idp.token(algorithm, **claims(idp), **tags)
    answer = sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="me", WebIdentityToken=token)
    assert (answer["SubjectFromWebIdentityToken"], answer["Audience"]) == ("repo:mine/x", CLIENT)
    given = credentials(answer)
    assert aws("sts", given.key, given.token).get_caller_identity()["Arn"] == answer["AssumedRoleUser"]["Arn"]
    principal = server.gate._keyring.find(given.key[0]).principal
    found = server.platform.stores.records.read(lambda connection: identity_of(connection, principal))
    assert found.tags == {"team": "a"}
    assert found.context == {"aws:federatedprovider": [answer["Provider"]]}


def test_refused(sts: Any, idp: Issuer, role: str) -> None:
    def refused(token: str, arn: str = role, **given: Any) -> tuple[str, str]:
        work = sts.assume_role_with_web_identity
        return refusal(work, RoleArn=arn, RoleSessionName="me", WebIdentityToken=token, **given)[:2]

    def changed(**others: Any) -> str:
        return idp.token(**claims(idp, **others))

    good, invalid = idp.token(**claims(idp)), "InvalidIdentityToken"
    denied = ("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
    assert refused("????")[0] == invalid
    assert "is not a valid JWT" in refused(f"{good}.x")[1]
    assert refused(good[:-8] + "AAAAAAAA") == (invalid, "The ID Token provided is not signed by its issuer.")
    assert refused(changed(aud="other")) == (invalid, "Incorrect token audience")
    assert refused(changed(aud=[CLIENT, "other"], azp="other")) == (invalid, "Incorrect token audience")
    assert refused(changed(exp=time.time() - 1))[0] == "ExpiredTokenException"
    assert refused(changed(nbf=time.time() + 300))[0] == invalid
    assert refused(changed(iss="https://elsewhere.example"))[1].startswith("No OpenIDConnect provider found")
    assert refused(changed(sub="repo:yours/x")) == denied
    assert refused(good, f"{role}x") == denied
    tokens = [idp.token(algorithm, **claims(idp)) for algorithm in ("none", "HS256", "RS999")]
    assert [refused(token)[0] for token in tokens] == [invalid] * 3
    assert refused(good, DurationSeconds=7200)[0] == "ValidationError"
    idp.published = idp.published[1:]  # the key was taken back
    assert refused(good)[0] == invalid


def test_an_issuer_that_does_not_answer(sts: Any, idp: Issuer, role: str) -> None:
    token = idp.token(**claims(idp))
    idp.published = {}  # type: ignore[assignment]  # what it says is no set of keys
    code, message, status = refusal(
        sts.assume_role_with_web_identity, RoleArn=role, RoleSessionName="me", WebIdentityToken=token
    )
    assert (code, status) == ("InvalidIdentityToken", 400)
    assert message.startswith("Couldn't retrieve verification key from your identity provider")


def test_the_issuer_is_asked_only_for_roles_that_trust_it(
    aws: Callable[..., Any], sts: Any, idp: Issuer, role: str
) -> None:
    statement = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    other = aws("iam").create_role(RoleName="other", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    token = idp.token(**claims(idp))
    for arn in (other, f"{role}-missing"):
        given = {"RoleArn": arn, "RoleSessionName": "me", "WebIdentityToken": token}
        assert refusal(sts.assume_role_with_web_identity, **given)[0] == "AccessDenied"
    assert idp.asked == 0
    sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="me", WebIdentityToken=token)
    assert idp.asked == 2
