"""AssumeRoleWithSAML: a session for whom a SAML provider of the role's account vouches."""

from __future__ import annotations

import base64
import hashlib
import re

from sqlalchemy.engine import Connection

from clary.auth.principals import Principal
from clary.contract.instance import Credentials
from clary.errors import ServiceError
from clary.services.iam import errors, shapes
from clary.services.operation import Call, Document, Operations
from clary.services.sts import assertions, federation, redeemed, saml_attributes, signed_xml, terms
from clary.services.sts.assertions import Assertion
from clary.services.sts.federation import Vouched, invalid
from clary.services.sts.terms import Keys
from clary.store import records
from clary.store.records import Record

operations = Operations()

_ACTION = "sts:AssumeRoleWithSAML"
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}", re.ASCII)


@operations.handles("AssumeRoleWithSAML")
def assume_role_with_saml(call: Call, given: Document) -> Document:
    if given.get("MinimumSessionTokenSize"):
        raise errors.not_built("AssumeRoleWithSAML", "MinimumSessionTokenSize")
    provider = _provider(call, given)
    federation.require_named(call, given["RoleArn"], provider, _ACTION)
    assertion = _assertion(call, given, provider)
    asked = {**given, **saml_attributes.session(assertion)}
    terms.packed(asked)  # refuses what is too large, before anything is written
    qualifier = _qualifier(assertion, provider)
    principal = Principal("federated", provider.account, provider.arn, assertion.subject.name)
    vouched = Vouched(_ACTION, principal, _keys(assertion, provider, qualifier), _noted(assertion, provider, qualifier))
    seconds = given.get("DurationSeconds") or saml_attributes.duration(assertion) or 3600

    def work(connection: Connection) -> tuple[Credentials, Principal]:
        entered = federation.enter(connection, call, asked, vouched, seconds, assertion.session_end)
        redeemed.note(connection, provider, assertion.id, given["RoleArn"], call.platform.clock.now())
        return entered

    made, session = call.platform.stores.records.write(work)
    named = {"Issuer": assertion.issuer, "Audience": assertion.recipient, "NameQualifier": qualifier}
    subject = {"Subject": assertion.subject.name, "SubjectType": assertion.subject.kind}
    return {**federation.answer(made, session, asked), **named, **subject}


def _provider(call: Call, given: Document) -> Record:
    """Of the role's account. Raises InvalidIdentityToken."""
    arn, account = given["PrincipalArn"], given["RoleArn"].split(":", 5)[4:5]
    record = call.platform.stores.records.read(lambda connection: records.by_arn(connection, arn))
    if record is None or record.kind != shapes.SAML_PROVIDER or [record.account] != account:
        raise invalid("Specified provider doesn't exist")
    if record.document["ValidUntil"] <= call.platform.clock.now():
        raise invalid("The metadata of the specified provider have expired")
    return record


def _assertion(call: Call, given: Document, provider: Record) -> Assertion:
    """Verified, of this provider, for AWS, for now, and with the role. Raises ServiceError."""
    text = "".join(given["SAMLAssertion"].split())
    if not _BASE64.fullmatch(text) or len(text) % 4:
        raise invalid("Invalid base64 SAMLResponse")
    try:
        element = signed_xml.assertion(base64.b64decode(text), provider.document["Certificates"])
        assertion = assertions.read(element, call.platform.clock.now())
    except signed_xml.NotInstalled:
        message = "AssumeRoleWithSAML needs the libraries of clary[saml]: install them where the server runs."
        raise ServiceError("NotImplemented", message, 501) from None
    except signed_xml.Encrypted:
        message = "AssumeRoleWithSAML: encrypted assertions are not built in Clary yet. Send them signed and plain."
        raise errors.invalid(message) from None
    except signed_xml.InvalidResponse:
        raise invalid("Your request included an invalid SAML response.") from None
    except signed_xml.InvalidSignature:
        raise invalid("Response signature invalid") from None
    except assertions.Expired as error:
        raise ServiceError("ExpiredTokenException", str(error), 400) from None
    except assertions.Refused as error:
        raise invalid(str(error)) from None
    if assertion.issuer != provider.document["Entity"]:
        raise invalid("Issuer not present in specified provider")
    if not saml_attributes.has_role(assertion, given["RoleArn"], provider.arn):
        raise federation.denied(_ACTION)
    return assertion


def _qualifier(assertion: Assertion, provider: Record) -> str:
    """With the subject, a name of the user that no other provider's user has."""
    named = f"{assertion.issuer}{provider.account}/{provider.name}".encode()
    return base64.b64encode(hashlib.sha1(named, usedforsecurity=False).digest()).decode("ascii")


def _keys(assertion: Assertion, provider: Record, qualifier: str) -> Keys:
    """Condition keys for the role's trust policy."""
    return {
        **saml_attributes.keys(assertion),
        **_noted(assertion, provider, qualifier),
        "saml:aud": (assertion.recipient,),
        "saml:iss": (assertion.issuer,),
        "saml:doc": (f"{provider.account}/{provider.name}",),
    }


def _noted(assertion: Assertion, provider: Record, qualifier: str) -> Keys:
    """Those that hold for the session's requests as well."""
    return {
        "aws:federatedprovider": (provider.arn,),
        "saml:sub": (assertion.subject.name,),
        "saml:sub_type": (assertion.subject.kind,),
        "saml:namequalifier": (qualifier,),
    }
