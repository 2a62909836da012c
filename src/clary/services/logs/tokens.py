"""Continuation tokens. They hold a place in the caller's own listing and a check sum of what was asked: a token of one
question is refused for another. They carry no rights, so they are not signed."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

from clary.services.logs.faults import invalid

_DIGITS = 28  # of each half of an event's place; AWS's tokens have 56 as well
_EVENT = re.compile(rf"([fb])/(\d{{{_DIGITS}}})(\d{{{_DIGITS}}})", re.ASCII)


def of_event(direction: str, cursor: tuple[int, int]) -> str:
    """A token of GetLogEvents: "f" reads on after the event at `cursor`, "b" before it."""
    timestamp, sequence = cursor
    return f"{direction}/{timestamp + 1:0{_DIGITS}}{sequence + 1:0{_DIGITS}}"


def event(token: str) -> tuple[str, tuple[int, int]]:
    """The direction and the cursor. Raises InvalidParameterException."""
    match = _EVENT.fullmatch(token)
    timestamp, sequence = (int(match[2]) - 1, int(match[3]) - 1) if match else (0, 0)
    if match is None or max(timestamp, sequence) >= 2**63:
        raise invalid("The specified nextToken is invalid.")
    return match[1], (timestamp, sequence)


def of_place(question: Any, place: list[Any]) -> str:
    """A token of the listings: `place` is where the page ended, `question` what was asked (JSON values)."""
    return base64.urlsafe_b64encode(json.dumps([_sum(question), *place]).encode()).decode()


def place(question: Any, token: str, *kinds: type) -> list[Any]:
    """The values, one of each of `kinds`. Raises InvalidParameterException for a token of another question, or none of
    ours."""
    try:
        check, *found = json.loads(base64.b64decode(token, altchars=b"-_", validate=True))
    except (ValueError, TypeError, RecursionError) as error:
        raise invalid("The specified nextToken is invalid.") from error
    if check != _sum(question) or len(found) != len(kinds) or not all(map(_fits, found, kinds)):
        raise invalid("The specified nextToken is invalid.")
    return list(found)


def _fits(value: object, kind: type) -> bool:
    return type(value) is kind and (not isinstance(value, int) or abs(value) < 2**63)


def _sum(question: Any) -> str:
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:16]
