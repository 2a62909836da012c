"""SAML providers: their metadata, and who may touch them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from api.iam.refusals import refusal
from api.iam.two_accounts import second_root
from api.sts.identity_provider import IdentityProvider

ARN = "arn:aws:iam::123456789012:saml-provider/idp"


def test_the_life_of_a_provider(aws: Callable[..., Any], server: Any) -> None:
    iam, idp = aws("iam"), IdentityProvider()
    made = iam.create_saml_provider(Name="idp", SAMLMetadataDocument=idp.metadata(), Tags=[{"Key": "a", "Value": "b"}])
    assert made["SAMLProviderArn"] == ARN
    shown = iam.get_saml_provider(SAMLProviderArn=ARN)
    assert (shown["SAMLMetadataDocument"], shown["Tags"]) == (idp.metadata(), [{"Key": "a", "Value": "b"}])
    assert shown["ValidUntil"].year > datetime.now(UTC).year + 90
    assert [each["Arn"] for each in iam.list_saml_providers()["SAMLProviderList"]] == [ARN]
    assert refusal(iam.create_saml_provider, Name="idp", SAMLMetadataDocument=idp.metadata())[::2] == (
        "EntityAlreadyExists",
        409,
    )
    newer = IdentityProvider(curve=True).metadata(until="2099-01-01T00:00:00Z")
    assert iam.update_saml_provider(SAMLProviderArn=ARN, SAMLMetadataDocument=newer)["SAMLProviderArn"] == ARN
    server.reopen()
    shown = iam.get_saml_provider(SAMLProviderArn=ARN)
    assert (shown["SAMLMetadataDocument"], shown["ValidUntil"]) == (newer, datetime(2099, 1, 1, tzinfo=UTC))
    iam.tag_saml_provider(SAMLProviderArn=ARN, Tags=[{"Key": "c", "Value": "d"}])
    iam.untag_saml_provider(SAMLProviderArn=ARN, TagKeys=["a"])
    assert iam.list_saml_provider_tags(SAMLProviderArn=ARN)["Tags"] == [{"Key": "c", "Value": "d"}]
    iam.delete_saml_provider(SAMLProviderArn=ARN)
    assert refusal(iam.get_saml_provider, SAMLProviderArn=ARN)[::2] == ("NoSuchEntity", 404)
    assert refusal(iam.delete_saml_provider, SAMLProviderArn=ARN)[0] == "NoSuchEntity"


def test_metadata_that_are_none(aws: Callable[..., Any]) -> None:
    good = IdentityProvider().metadata()
    bad = [
        "x" * 1000,
        good.replace("md:EntityDescriptor", "md:Other"),
        good.replace('<?xml version="1.0"?>', "<!DOCTYPE x>"),
        good.replace('use="signing"', 'use="encryption"'),
        good.replace("X509Certificate>MII", "X509Certificate>AAA"),
        good.replace(" entityID=", " validUntil='yesterday' entityID="),
        good.replace(" entityID=", " validUntil='9999-12-31T23:59:59-12:00' entityID="),
    ]
    for text in bad:
        found = refusal(aws("iam").create_saml_provider, Name="idp", SAMLMetadataDocument=text)
        assert found == ("InvalidInput", "Could not parse metadata", 400)
    encrypted = {"AssertionEncryptionMode": "Required", "AddPrivateKey": "key"}
    for member, value in encrypted.items():
        given = {"Name": "idp", "SAMLMetadataDocument": good, member: value}
        assert f"{member} is not built" in refusal(aws("iam").create_saml_provider, **given)[1]


def test_who_may_touch_a_provider(aws: Callable[..., Any], server: Any) -> None:
    iam, metadata = aws("iam"), IdentityProvider().metadata()
    iam.create_user(UserName="admin")
    statement = {"Effect": "Allow", "Action": "iam:*SAMLProvider", "Resource": ARN}
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    iam.put_user_policy(UserName="admin", PolicyName="saml", PolicyDocument=document)
    key = iam.create_access_key(UserName="admin")["AccessKey"]
    admin = aws("iam", (key["AccessKeyId"], key["SecretAccessKey"]))
    admin.create_saml_provider(Name="idp", SAMLMetadataDocument=metadata)
    denied = refusal(admin.create_saml_provider, Name="another", SAMLMetadataDocument=metadata)
    assert denied[0] == "AccessDenied"
    assert "iam:CreateSAMLProvider on resource: arn:aws:iam::123456789012:saml-provider/another" in denied[1]
    foreign = aws("iam", second_root(server))
    assert foreign.list_saml_providers()["SAMLProviderList"] == []
    for work in (foreign.get_saml_provider, foreign.delete_saml_provider):  # as of one that is not there
        assert refusal(work, SAMLProviderArn=ARN)[0] == refusal(work, SAMLProviderArn=f"{ARN}x")[0] == "AccessDenied"
