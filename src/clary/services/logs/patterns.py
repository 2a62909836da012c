"""Filter patterns: which messages FilterLogEvents gives out.

Built: terms (`ERROR`), phrases (`"not found"`), exclusions (`-DEBUG`), alternatives (`?ERROR ?WARN`), and JSON
comparisons joined by && and || (`{ $.code = 4* && $.user.name != "x" }`). Patterns of space-delimited fields
(`[ip, user, ...]`) and regular expressions (`%AUTH%`) are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from clary.services.logs import json_patterns
from clary.services.logs.faults import invalid

Matches = Callable[[str], bool]

_TERM = re.compile(r'([?-]?)(?:"((?:[^"\\]|\\.)*)"|(\S+))')


def compiled(pattern: str) -> Matches:
    """Raises InvalidParameterException for what is no pattern, or is not built."""
    text = pattern.strip()
    if not text:
        return lambda message: True
    if text.startswith("{"):
        return json_patterns.compiled(text)
    if text.startswith("["):
        raise invalid("FilterLogEvents: patterns of space-delimited fields are not built in Clary yet.")
    if text.startswith("%"):
        raise invalid("FilterLogEvents: regular expressions in patterns are not built in Clary yet.")
    return _terms(text)


def _terms(text: str) -> Matches:
    wanted: list[str] = []
    alternatives: list[str] = []
    excluded: list[str] = []
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        match = _TERM.match(text, at)
        if match is None or (match[3] or "").startswith('"'):
            raise invalid("Invalid filter pattern: a quotation mark is not closed.")
        term = match[3] if match[2] is None else re.sub(r"\\(.)", r"\1", match[2])
        {"?": alternatives, "-": excluded, "": wanted}[match[1]].append(term)
        at = match.end()
    return lambda message: (
        all(term in message for term in wanted)
        # Alternatives count only on their own: beside other terms AWS takes no notice of them.
        and (not alternatives or bool(wanted or excluded) or any(term in message for term in alternatives))
        and not any(term in message for term in excluded)
    )
