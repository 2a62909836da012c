"""Sessions for whom a SAML provider vouches."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config

from api.iam.refusals import refusal
from api.iam.served import credentials
from api.sts.identity_provider import ATTRIBUTES, ENTITY, RECIPIENT, IdentityProvider, Said, encoded, response, stamp
from clary.services.iam.standing import identity_of

INVALID, EXPIRED = "InvalidIdentityToken", "ExpiredTokenException"
DENIED = ("AccessDenied", "Not authorized to perform sts:AssumeRoleWithSAML")
BROKEN = (INVALID, "Your request included an invalid SAML response.")
UNSIGNED_RESPONSE = (INVALID, "Response signature invalid")


@pytest.fixture(scope="module")
def idp() -> IdentityProvider:
    return IdentityProvider()


@pytest.fixture(scope="module")
def curve() -> IdentityProvider:
    return IdentityProvider(curve=True)


@pytest.fixture
def provider(aws: Callable[..., Any], idp: IdentityProvider) -> str:
    arn: str = aws("iam").create_saml_provider(Name="idp", SAMLMetadataDocument=idp.metadata())["SAMLProviderArn"]
    return arn


@pytest.fixture
def role(aws: Callable[..., Any], provider: str) -> str:
    """Trusts a subject of the provider's."""
    wanted = {
        "saml:aud": RECIPIENT,
        "saml:iss": ENTITY,
        "saml:sub": "somebody@example.org",
        "saml:sub_type": "persistent",
        "saml:doc": "123456789012/idp",
        "saml:namequalifier": qualifier(),
    }
    return trusting(aws, "federated", provider, {"StringEquals": wanted})


def trusting(aws: Callable[..., Any], name: str, provider: str, condition: Any) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": provider},
        "Action": ["sts:AssumeRoleWithSAML", "sts:TagSession", "sts:SetSourceIdentity"],
        "Condition": condition,
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    arn: str = aws("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    return arn


def qualifier() -> str:
    return base64.b64encode(hashlib.sha1(f"{ENTITY}123456789012/idp".encode()).digest()).decode()


@pytest.fixture
def sts(server: Any, boto: boto3.Session) -> Any:
    """Without any key."""
    config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1})
    return boto.client("sts", endpoint_url=server.url, config=config)


@pytest.fixture
def said(role: str, provider: str) -> Said:
    return saying(f"{role},{provider}")


def saying(*roles: str, **others: str | list[str]) -> Said:
    """`others`: further attributes of AWS's."""
    named = {"RoleSessionName": "me", **others}
    lists = {name: [value] if isinstance(value, str) else value for name, value in named.items()}
    return Said({f"{ATTRIBUTES}{name}": values for name, values in {"Role": [*roles], **lists}.items()})


@pytest.mark.parametrize("kind", ["assertion", "response", "curve"])
def test_a_session(
    aws: Callable[..., Any], server: Any, sts: Any, provider: str, role: str, said: Said, kind: str, request: Any
) -> None:
    idp: IdentityProvider = request.getfixturevalue("curve" if kind == "curve" else "idp")
    if kind == "curve":
        aws("iam").update_saml_provider(SAMLProviderArn=provider, SAMLMetadataDocument=idp.metadata())
    text = idp.signed_response(said) if kind == "response" else idp.answer(said)
    answer = sts.assume_role_with_saml(RoleArn=role, PrincipalArn=provider, SAMLAssertion=text)
    assert (answer["Subject"], answer["SubjectType"]) == ("somebody@example.org", "persistent")
    assert (answer["Issuer"], answer["Audience"], answer["NameQualifier"]) == (ENTITY, RECIPIENT, qualifier())
    given = credentials(answer)
    arn = aws("sts", given.key, given.token).get_caller_identity()["Arn"]
    assert arn == answer["AssumedRoleUser"]["Arn"] == "arn:aws:sts::123456789012:assumed-role/federated/me"
    principal = server.gate._keyring.find(given.key[0]).principal
    context = server.platform.stores.records.read(lambda connection: identity_of(connection, principal)).context
    assert context["saml:sub"] == ["somebody@example.org"]
    assert context["aws:federatedprovider"] == [provider]


def test_what_attributes_say_of_the_session(
    aws: Callable[..., Any], server: Any, sts: Any, idp: IdentityProvider, provider: str
) -> None:
    condition = {"StringEquals": {"saml:edupersonaffiliation": "staff", "aws:RequestTag/team": "a"}}
    role = trusting(aws, "tagged", provider, condition)
    tags = {"PrincipalTag:team": "a", "PrincipalTag:empty": "", "TransitiveTagKeys": ["team"]}
    said = saying(f"{provider},{role}", SourceIdentity="alice", SessionDuration="1800", **tags)
    affiliation = {"urn:oid:1.3.6.1.4.1.5923.1.1.1.1": ["staff", "member"]}
    text = idp.answer(replace(said, attributes={**said.attributes, **affiliation}))
    answer = sts.assume_role_with_saml(RoleArn=role, PrincipalArn=provider, SAMLAssertion=text)
    assert answer["SourceIdentity"] == "alice"
    assert 1700 < credentials(answer).until.timestamp() - time.time() <= 1800
    principal = server.gate._keyring.find(answer["Credentials"]["AccessKeyId"]).principal
    found = server.platform.stores.records.read(lambda connection: identity_of(connection, principal))
    assert found.tags == {"team": "a", "empty": ""}
    assert (
        refusal(sts.assume_role_with_saml, RoleArn=role, PrincipalArn=provider, SAMLAssertion=idp.answer(said))[:2]
        == DENIED
    )  # without the affiliation


def test_a_session_ends_when_the_provider_says(sts: Any, idp: IdentityProvider, provider: str, said: Said) -> None:
    role = said.attributes[f"{ATTRIBUTES}Role"][0].partition(",")[0]
    text = idp.answer(replace(said, session_ends=1000.0))
    given = {"RoleArn": role, "PrincipalArn": provider, "SAMLAssertion": text}
    until = credentials(sts.assume_role_with_saml(**given, DurationSeconds=3600)).until.timestamp()
    assert 900 < until - time.time() <= 1000


def test_an_assertion_opens_each_role_once(
    aws: Callable[..., Any], server: Any, sts: Any, idp: IdentityProvider, provider: str, role: str
) -> None:
    other = trusting(aws, "other", provider, {})
    text = idp.answer(saying(f"{role},{provider}", f"{other},{provider}"))
    given = {"PrincipalArn": provider, "SAMLAssertion": text}
    sts.assume_role_with_saml(RoleArn=role, **given)
    sts.assume_role_with_saml(RoleArn=other, **given)
    server.reopen()
    again = (INVALID, "The SAML response was redeemed already.")
    assert refusal(sts.assume_role_with_saml, RoleArn=role, **given)[:2] == again
    assert refusal(sts.assume_role_with_saml, RoleArn=other, **given)[:2] == again


def test_refused(aws: Callable[..., Any], sts: Any, idp: IdentityProvider, provider: str, said: Said) -> None:
    role = said.attributes[f"{ATTRIBUTES}Role"][0].partition(",")[0]

    def refused(text: str, **given: Any) -> tuple[str, str]:
        asked = {"RoleArn": role, "PrincipalArn": provider, "SAMLAssertion": text, **given}
        return refusal(sts.assume_role_with_saml, **asked)[:2]

    def changed(**others: Any) -> tuple[str, str]:
        return refused(idp.answer(replace(said, **others)))

    good = idp.answer(said)
    assert refused("not base64!") == (INVALID, "Invalid base64 SAMLResponse")
    assert refused(encoded("<nothing/>")) == BROKEN
    assert refused(encoded(response(idp.assertion(said), status="Requester"))) == BROKEN
    assert refused(IdentityProvider().answer(said)) == UNSIGNED_RESPONSE  # of the same name, with another key
    assert refused(encoded(response(said.xml()))) == UNSIGNED_RESPONSE
    assert changed(issued=-301.0) == (EXPIRED, "Token must be redeemed within 5 minutes of issuance")
    assert changed(ends=-1.0)[0] == EXPIRED
    assert changed(session_ends=-1.0)[0] == EXPIRED
    assert changed(issued=300.0)[0] == changed(begins=300.0)[0] == INVALID
    assert changed(audience="https://elsewhere.example") == (
        INVALID,
        "Response does not contain the required audience.",
    )
    assert changed(recipient="https://signin.aws.amazon.com.example/saml") == BROKEN
    assert changed(issuer="https://other.example") == (INVALID, "Issuer not present in specified provider")
    assert changed(subject="") == BROKEN
    assert changed(subject="somebody-else") == DENIED
    assert changed(attributes=saying(f"{role}x,{provider}").attributes) == DENIED
    assert changed(attributes={f"{ATTRIBUTES}Role": [f"{role},{provider}"]})[1].startswith(
        "RoleSessionName is required"
    )
    for name, value in (("RoleSessionName", "a b"), ("SourceIdentity", "aws:me"), ("SessionDuration", "60")):
        assert changed(attributes=saying(f"{role},{provider}", **{name: value}).attributes)[0] == INVALID
    assert refused(good, DurationSeconds=7200)[0] == "ValidationError"
    assert refused(good, RoleArn=f"{role}-missing") == DENIED
    assert refused(good, PrincipalArn=f"{provider}x") == (INVALID, "Specified provider doesn't exist")
    expired = idp.metadata(until=stamp(-60))
    aws("iam").update_saml_provider(SAMLProviderArn=provider, SAMLMetadataDocument=expired)
    assert refused(good)[0] == INVALID
    aws("iam").update_saml_provider(SAMLProviderArn=provider, SAMLMetadataDocument=idp.metadata())
    sts.assume_role_with_saml(RoleArn=role, PrincipalArn=provider, SAMLAssertion=good)  # nothing above spent it


def test_what_is_not_signed_says_nothing(sts: Any, idp: IdentityProvider, provider: str, said: Said) -> None:
    """Signatures that are right, of something else than what stands where the assertion should."""
    role = said.attributes[f"{ATTRIBUTES}Role"][0].partition(",")[0]
    good, forged = idp.assertion(said), replace(said, subject="root@example.org").xml()
    signature = good[good.index("<ds:Signature") : good.index("</ds:Signature>") + len("</ds:Signature>")]
    bare = good.replace(signature, "")
    holding = signature.replace("</ds:Signature>", f"<ds:Object>{bare}</ds:Object></ds:Signature>")
    other = replace(said, id=f"{said.id}x", subject="root@example.org")

    def wrapped(inside: str) -> str:
        return encoded(response(inside))

    documents = [
        wrapped(forged + good),
        wrapped(good + forged),
        wrapped(f"{forged}<x>{good}</x>"),
        wrapped(other.xml(holding)),
        wrapped(replace(said, subject="root@example.org").xml(holding)),
        wrapped(other.xml(good)),
        wrapped(replace(said, subject="root@example.org").xml(signature)),
        encoded(response(forged, signature)),
        encoded(response(f"<x>{bare}</x>{forged}", signature)),
        wrapped(good.replace("somebody@", "root@")),
        wrapped(idp.assertion(said, "rsa-sha224")),  # too weak
        wrapped(good.replace("<saml:Issuer>", "<saml:Issuer>x")),
    ]
    for document in documents:
        asked = {"RoleArn": role, "PrincipalArn": provider, "SAMLAssertion": document}
        assert refusal(sts.assume_role_with_saml, **asked)[:2] in (BROKEN, UNSIGNED_RESPONSE)
    strong = wrapped(idp.assertion(said, "sha512-rsa-MGF1"))
    sts.assume_role_with_saml(RoleArn=role, PrincipalArn=provider, SAMLAssertion=strong)


def test_a_comment_does_not_cut_a_name(sts: Any, idp: IdentityProvider, provider: str, said: Said) -> None:
    """A canonical form may leave comments out, so that they can be put anywhere after the signing."""
    role = said.attributes[f"{ATTRIBUTES}Role"][0].partition(",")[0]
    good = idp.assertion(replace(said, subject="somebody@example.org.evil.example"))
    text = encoded(response(good.replace("example.org.evil", "example.org<!-- -->.evil")))
    asked = {"RoleArn": role, "PrincipalArn": provider, "SAMLAssertion": text}
    assert refusal(sts.assume_role_with_saml, **asked)[:2] == DENIED


def test_entities_are_not_expanded(sts: Any, idp: IdentityProvider, provider: str, said: Said) -> None:
    role = said.attributes[f"{ATTRIBUTES}Role"][0].partition(",")[0]
    entities = '<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {after} "{f"&{before};" * 10}">' for before, after in zip("abcdefgh", "bcdefghi", strict=True)
    )
    bomb = f"<!DOCTYPE x [{entities}]>" + response(idp.assertion(said)).replace("somebody", "&i;")
    file = '<!DOCTYPE x [<!ENTITY i SYSTEM "file:///etc/hostname">]>' + response("&i;")
    for each in (bomb, file):
        asked = {"RoleArn": role, "PrincipalArn": provider, "SAMLAssertion": encoded(each)}
        assert refusal(sts.assume_role_with_saml, **asked)[:2] == BROKEN


def test_namespaces_beside_one_another_but_not_within(
    sts: Any, idp: IdentityProvider, provider: str, said: Said
) -> None:
    """Some providers declare theirs on each value. What is within hundreds takes minutes to be made canonical, be it
    signed or not."""
    role = said.attributes[f"{ATTRIBUTES}Role"][0].partition(",")[0]

    def asked(assertion: str) -> dict[str, str]:
        document = encoded(response(idp.signed(assertion)))
        return {"RoleArn": role, "PrincipalArn": provider, "SAMLAssertion": document}

    signature = '<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#" Id="placeholder"/>'
    many = replace(said, attributes={**said.attributes, **{f"other-{number}": ["some"] for number in range(100)}})
    here = many.xml(signature).replace("<saml:AttributeValue>", '<saml:AttributeValue xmlns:xs="urn:xs">')
    sts.assume_role_with_saml(**asked(here))
    around = " ".join(f'xmlns:n{number}="urn:n{number}"' for number in range(100))
    within = replace(said, id="_other").xml(signature).replace("<saml:Assertion ", f"<saml:Assertion {around} ")
    assert refusal(sts.assume_role_with_saml, **asked(within))[:2] == BROKEN


def test_encrypted_assertions_are_not_built(sts: Any, provider: str, role: str) -> None:
    inside = '<saml:EncryptedAssertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"/>'
    asked = {"RoleArn": role, "PrincipalArn": provider, "SAMLAssertion": encoded(response(inside))}
    assert "encrypted assertions are not built" in refusal(sts.assume_role_with_saml, **asked)[1]


def test_without_the_libraries(
    sts: Any, idp: IdentityProvider, provider: str, role: str, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "signxml", None)  # as it is where it was not installed
    asked = {"RoleArn": role, "PrincipalArn": provider, "SAMLAssertion": idp.answer(said)}
    code, message, status = refusal(sts.assume_role_with_saml, **asked)
    assert (code, status) == ("NotImplemented", 501)
    assert "clary[saml]" in message
