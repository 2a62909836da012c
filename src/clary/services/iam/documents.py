"""Policy documents: the checks that IAM makes when one is stored, and how it is handed out."""

from __future__ import annotations

from urllib.parse import quote

from clary.auth.policy import MalformedPolicy, checks, parse
from clary.services.iam import errors, principals
from clary.services.operation import Call


def quoted(text: str) -> str:
    """As answers carry a document: percent-encoded (RFC 3986)."""
    return quote(text, safe="-_.~")


def size(text: str) -> int:
    """Characters of a document as quotas count them: without blanks."""
    return len("".join(text.split()))


def check_identity(text: str, newest: bool = False) -> str:
    """A policy of a user, a group, a role or a session; `newest`: a managed one, which has to be in the newest version
    of the language. Returns `text`; raises MalformedPolicyDocument."""
    try:
        checks.identity(parse(text), newest)
    except MalformedPolicy as error:
        raise errors.malformed(str(error)) from None
    return text


def check_trust(text: str) -> str:
    """Who may assume a role. Returns `text`; raises MalformedPolicyDocument."""
    try:
        checks.trust(parse(text))
    except MalformedPolicy as error:
        raise errors.malformed(str(error)) from None
    return text


def pinned(call: Call, text: str) -> str:
    """A trust policy as it is stored. Raises MalformedPolicyDocument when it names somebody who is not there. To be
    called before the transaction that stores it: a policy may name many."""
    try:
        return call.platform.stores.records.read(lambda connection: principals.pin(connection, text))
    except principals.UnknownPrincipal as error:
        raise errors.malformed(f'Invalid principal in policy: "{error.kind.upper()}":"{error.name}"') from None
