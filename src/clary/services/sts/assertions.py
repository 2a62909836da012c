"""What a SAML assertion says, and whether it says it here and now."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from xml.etree.ElementTree import Element

from clary.services.iam.saml_metadata import moment
from clary.services.sts.signed_xml import ASSERTION

REDEEMABLE_SECONDS = 300.0  # from its issue, as AWS has it
LEEWAY_SECONDS = 60.0  # by which the provider's clock may be ahead

_BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
_FORMAT = "urn:oasis:names:tc:SAML:2.0:nameid-format:"
_UNSPECIFIED = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
# What AWS calls itself to identity providers, in whatever region.
_AUDIENCE = re.compile(r"urn:amazon:webservices|https://([a-z0-9-]+\.)?signin\.aws\.amazon\.com/saml", re.ASCII)
_RECIPIENT = re.compile(r"https://([a-z0-9-]+\.)?signin\.aws\.amazon\.com/saml(/acs/[A-Z0-9]+)?", re.ASCII)


class Refused(Exception):
    """The assertion is of no use; the message is AWS's."""


class Expired(Refused):
    """It was of use once."""


class Subject(NamedTuple):
    """`kind` is the name's format, without the prefix of SAML 2.0."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Assertion:
    """`recipient` is where it was sent to; `session_end` in epoch seconds, None when the provider sets none. Attributes
    have their values in order."""

    id: str
    issuer: str
    subject: Subject
    recipient: str
    session_end: float | None
    attributes: Mapping[str, Sequence[str]]


def read(element: Element, now: float) -> Assertion:
    """`element` is of a verified document. Raises Refused and Expired: also of one that is good at another time, or for
    somebody else than AWS."""
    try:
        _check_time(element, now)
        recipient = _recipient(element, now)
        _check_audience(element)
        ends = [moment(each) for each in _given(element, "AuthnStatement", "SessionNotOnOrAfter")]
    except ValueError:
        raise Refused("Your request included an invalid SAML response.") from None
    issuer, subject = _text(element.find(f"{ASSERTION}Issuer")), _subject(element)
    if not issuer or not subject.name:
        raise Refused("Your request included an invalid SAML response.")
    ended = min(ends, default=None)
    if ended is not None and ended <= now:
        raise Expired("The session that the SAML response tells of has ended.")
    return Assertion(element.get("ID", ""), issuer, subject, recipient, ended, _attributes(element))


def _check_time(element: Element, now: float) -> None:
    issued = moment(element.get("IssueInstant", ""))
    if issued > now + LEEWAY_SECONDS:
        raise Refused("The SAML response was issued in the future.")
    ends = [moment(each) for each in _given(element, "Conditions", "NotOnOrAfter")]
    if issued <= now - REDEEMABLE_SECONDS:
        raise Expired("Token must be redeemed within 5 minutes of issuance")
    if any(end <= now for end in ends):
        raise Expired("The SAML response has expired.")
    if any(moment(each) > now + LEEWAY_SECONDS for each in _given(element, "Conditions", "NotBefore")):
        raise Refused("The SAML response is not valid yet.")


def _recipient(element: Element, now: float) -> str:
    """Where the assertion was sent to, of the confirmation that makes whoever brings it its subject."""
    expired = False
    for confirmation in element.findall(f"{ASSERTION}Subject/{ASSERTION}SubjectConfirmation"):
        data = confirmation.find(f"{ASSERTION}SubjectConfirmationData")
        if confirmation.get("Method") != _BEARER or data is None or data.get("NotBefore") is not None:
            continue
        recipient = data.get("Recipient", "")
        if _RECIPIENT.fullmatch(recipient):
            if moment(data.get("NotOnOrAfter", "")) > now:
                return recipient
            expired = True
    if expired:
        raise Expired("The SAML response has expired.")
    raise Refused("Your request included an invalid SAML response.")


def _check_audience(element: Element) -> None:
    """Every restriction has to be met, and there has to be one."""
    restrictions = element.findall(f"{ASSERTION}Conditions/{ASSERTION}AudienceRestriction")
    for restriction in restrictions:
        if not any(_AUDIENCE.fullmatch(_text(each)) for each in restriction.findall(f"{ASSERTION}Audience")):
            restrictions = []
    if not restrictions:
        raise Refused("Response does not contain the required audience.")


def _subject(element: Element) -> Subject:
    name = element.find(f"{ASSERTION}Subject/{ASSERTION}NameID")
    kind = _UNSPECIFIED if name is None else name.get("Format", _UNSPECIFIED)
    return Subject(_text(name), kind.removeprefix(_FORMAT))


def _attributes(element: Element) -> Mapping[str, Sequence[str]]:
    found: dict[str, list[str]] = {}
    for attribute in element.findall(f"{ASSERTION}AttributeStatement/{ASSERTION}Attribute"):
        values = [_text(each) for each in attribute.findall(f"{ASSERTION}AttributeValue")]
        found.setdefault(attribute.get("Name", ""), []).extend(values)
    return found


def _given(element: Element, child: str, attribute: str) -> Iterator[str]:
    for each in element.findall(f"{ASSERTION}{child}"):
        value = each.get(attribute)
        if value is not None:
            yield value


def _text(element: Element | None) -> str:
    return "" if element is None else "".join(element.itertext()).strip()
