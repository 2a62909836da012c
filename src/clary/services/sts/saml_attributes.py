"""Attributes of SAML assertions that mean something to AWS: the role, its session, and condition keys."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from clary.services.operation import Document
from clary.services.sts.assertions import Assertion
from clary.services.sts.federation import invalid
from clary.services.sts.terms import Keys

_AWS = "https://aws.amazon.com/SAML/Attributes/"
_TAG = f"{_AWS}PrincipalTag:"
_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_TAG_TEXT = re.compile(r"[\w\s.:/=+@-]*")
_SHORTEST, _LONGEST = 900, 43_200  # seconds
_MOST_TAGS = 50

_CLAIMS = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
_PERSON = "urn:oid:1.3.6.1.4.1.5923.1.1.1."
_ORGANISATION = "urn:oid:1.3.6.1.4.1.5923.1.2.1."
# Names of attributes, and the condition keys (lower case, after "saml:") that AWS makes of them.
_KEYS: Mapping[str, str] = {
    f"{_PERSON}1": "edupersonaffiliation",
    f"{_PERSON}2": "edupersonnickname",
    f"{_PERSON}3": "edupersonorgdn",
    f"{_PERSON}4": "edupersonorgunitdn",
    f"{_PERSON}5": "edupersonprimaryaffiliation",
    f"{_PERSON}6": "edupersonprincipalname",
    f"{_PERSON}7": "edupersonentitlement",
    f"{_PERSON}8": "edupersonprimaryorgunitdn",
    f"{_PERSON}9": "edupersonscopedaffiliation",
    f"{_PERSON}10": "edupersontargetedid",
    f"{_PERSON}11": "edupersonassurance",
    f"{_ORGANISATION}2": "eduorghomepageuri",
    f"{_ORGANISATION}3": "eduorgidentityauthnpolicyuri",
    f"{_ORGANISATION}4": "eduorglegalname",
    f"{_ORGANISATION}5": "eduorgsuperioruri",
    f"{_ORGANISATION}6": "eduorgwhitepagesuri",
    "urn:oid:2.5.4.3": "cn",
    f"{_CLAIMS}name": "name",
    "http://schemas.xmlsoap.org/claims/CommonName": "commonname",
    f"{_CLAIMS}givenname": "givenname",
    f"{_CLAIMS}surname": "surname",
    f"{_CLAIMS}emailaddress": "mail",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/primarygroupsid": "primarygroupsid",
    "2.5.4.3": "commonname",
    "2.5.4.4": "surname",
    "2.5.4.42": "givenname",
    "2.5.4.45": "x500uniqueidentifier",
    "0.9.2342.19200300.100.1.1": "uid",
    "0.9.2342.19200300.100.1.3": "mail",
    "0.9.2342.19200300.100.1.45": "organizationstatus",
}


def has_role(assertion: Assertion, role: str, provider: str) -> bool:
    """Whether the assertion gives its subject the role by this provider: the two ARNs, in whichever order."""
    given = assertion.attributes.get(f"{_AWS}Role", ())
    return any(sorted(part.strip() for part in each.split(",")) == sorted((role, provider)) for each in given)


def session(assertion: Assertion) -> Document:
    """The session's name, tags and source identity, as AssumeRole would be given them. Raises InvalidIdentityToken."""
    found: Document = {"RoleSessionName": _session_name(assertion)}
    tags = _tags(assertion)
    if tags:
        found["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
        found["TransitiveTagKeys"] = list(assertion.attributes.get(f"{_AWS}TransitiveTagKeys", ()))
    identity = _single(assertion, "SourceIdentity")
    if identity is not None:
        if not _NAME.fullmatch(identity) or identity.lower().startswith("aws:"):
            raise invalid('Source Identity must match [a-zA-Z_0-9+=,.@-]{2,64} and not begin with "aws:"')
        found["SourceIdentity"] = identity
    return found


def duration(assertion: Assertion) -> int | None:
    """Seconds that the provider has the session last, if the request does not say. Raises InvalidIdentityToken."""
    given = _single(assertion, "SessionDuration")
    if given is None:
        return None
    if not re.fullmatch(r"[0-9]{1,5}", given, re.ASCII) or not _SHORTEST <= int(given) <= _LONGEST:
        raise invalid(f"SessionDuration in AuthnResponse must be between {_SHORTEST} and {_LONGEST} seconds")
    return int(given)


def keys(assertion: Assertion) -> Keys:
    """Condition keys of the attributes that AWS knows."""
    found: dict[str, Sequence[str]] = {}
    for name, values in assertion.attributes.items():
        if name in _KEYS and values:
            found[f"saml:{_KEYS[name]}"] = tuple(values)
    return found


def _session_name(assertion: Assertion) -> str:
    name = _single(assertion, "RoleSessionName")
    if name is None:
        raise invalid("RoleSessionName is required in AuthnResponse")
    if not _NAME.fullmatch(name):
        raise invalid("RoleSessionName in AuthnResponse must match [a-zA-Z_0-9+=,.@-]{2,64}")
    return name


def _tags(assertion: Assertion) -> Mapping[str, str]:
    tags: dict[str, str] = {}
    for name, values in assertion.attributes.items():
        if name.startswith(_TAG):
            key = name.removeprefix(_TAG)
            value = values[0] if len(values) == 1 else None
            if value is None or not 0 < len(key) <= 128 or len(value) > 256:
                raise invalid(f"{name} in AuthnResponse is not one tag")
            if not _TAG_TEXT.fullmatch(key) or not _TAG_TEXT.fullmatch(value):
                raise invalid(f"{name} in AuthnResponse holds characters that tags may not have")
            tags[key] = value
    if len(tags) > _MOST_TAGS:
        raise invalid(f"AuthnResponse has more than {_MOST_TAGS} tags")
    return tags


def _single(assertion: Assertion, name: str) -> str | None:
    """Raises InvalidIdentityToken for an attribute with several values."""
    values = assertion.attributes.get(f"{_AWS}{name}", ())
    if len(values) > 1:
        raise invalid(f"{name} in AuthnResponse has more than one value")
    return values[0] if values else None
