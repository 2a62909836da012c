"""Policy documents: the checks that IAM makes when one is stored, and how it is handed out."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from clary.services.iam import errors

_VERSIONS = ("2012-10-17", "2008-10-17")
_ELEMENTS = frozenset(
    {"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)


def quoted(text: str) -> str:
    """As answers carry a document: percent-encoded (RFC 3986)."""
    return quote(text, safe="-_.~")


def check_identity(text: str) -> str:
    """A policy of a role, a user, or by itself. Returns `text`; raises MalformedPolicyDocument."""
    for statement in _statements(text):
        if _has(statement, "Principal"):
            raise errors.malformed("Policy document should not specify a principal.")
        if not _has(statement, "Action"):
            raise errors.malformed("Policy statement must contain actions.")
        if not _has(statement, "Resource"):
            raise errors.malformed("Policy statement must contain resources.")
    return text


def check_trust(text: str) -> str:
    """Who may assume a role. Returns `text`; raises MalformedPolicyDocument."""
    for statement in _statements(text):
        if _has(statement, "Resource"):
            raise errors.malformed("Has prohibited field Resource")
        if not _has(statement, "Principal"):
            raise errors.malformed("Missing required field Principal")
        if not _has(statement, "Action"):
            raise errors.malformed("Missing required field Action")
    return text


def _has(statement: dict[str, Any], element: str) -> bool:
    return element in statement or f"Not{element}" in statement


def _statements(text: str) -> list[dict[str, Any]]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise errors.malformed("This policy contains invalid Json") from None
    if not isinstance(document, dict) or document.keys() - {"Version", "Id", "Statement"}:
        raise errors.malformed("Syntax errors in policy.")
    if document.get("Version", _VERSIONS[1]) not in _VERSIONS:
        raise errors.malformed("The policy must contain a valid version string")
    given = document.get("Statement")
    statements = [given] if isinstance(given, dict) else given
    if not isinstance(statements, list) or not statements:
        raise errors.malformed("Syntax errors in policy.")
    for statement in statements:
        if not isinstance(statement, dict) or statement.keys() - _ELEMENTS:
            raise errors.malformed("Syntax errors in policy.")
        if statement.get("Effect") not in ("Allow", "Deny"):
            raise errors.malformed("Syntax errors in policy.")
        for element in ("Action", "NotAction", "Resource", "NotResource"):
            if not _texts(statement.get(element, "")):
                raise errors.malformed("Syntax errors in policy.")
    return statements


def _texts(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(each, str) for each in value))
