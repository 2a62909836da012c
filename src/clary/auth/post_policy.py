"""The policy document of an upload by an HTML form: until when its signer allows which uploads. Pure.

Conditions and fields meet without regard to the case of their names; values are compared as they are.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from clary.errors import ServiceError

_RANGE = "content-length-range"
_MATCHES = ("eq", "starts-with")
# No condition has to speak of these: the proof itself, and what AWS lets pass.
_FREE = frozenset({"x-amz-signature", "signature", "awsaccesskeyid", "policy", "file"})
_FREE_PREFIX = "x-ignore-"
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_EXPIRATION = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z", re.ASCII)
_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class PostPolicy:
    """`expires` in epoch seconds; `matches` are (operator, lower-cased field, value, the condition as it is quoted);
    `sizes` is the least and the most that the file may have, in bytes, both included."""

    expires: float
    matches: tuple[tuple[str, str, str, str], ...]
    sizes: tuple[int, int] = (0, _LARGEST)

    def check(self, fields: Mapping[str, str], now: float) -> None:
        """`fields` by lower-cased name, with `bucket` as the address names it. Raises AccessDenied."""
        if self.expires <= now:
            raise _denied("Policy expired.")
        for operator, name, value, quoted in self.matches:
            if not _met(operator, name, value, fields.get(name, "")):
                raise _denied(f"Policy Condition failed: {quoted}")
        spoken = {name for _, name, _, _ in self.matches} | _FREE | {"bucket"}
        extra = [name for name in fields if name not in spoken and not name.startswith(_FREE_PREFIX)]
        if extra:
            raise _denied(f"Extra input fields: {', '.join(extra)}")


def read(policy: str) -> PostPolicy:
    """Of the form's field: base64 of JSON. Raises InvalidPolicyDocument, and AccessDenied for conditions that nothing
    can meet."""
    try:
        document = json.loads(_plain(base64.b64decode(policy, validate=True).decode()))
        json.dumps(document, ensure_ascii=False).encode()  # half a character can be escaped, and nothing can say it
    except (ValueError, RecursionError, binascii.Error):
        raise _invalid("Invalid JSON.") from None
    if not isinstance(document, dict):
        raise _invalid("Invalid JSON.")
    if "expiration" not in document:
        raise _invalid("Policy missing expiration.")
    expires = _expiration(document["expiration"])
    if not isinstance(document.get("conditions"), list):
        raise _invalid("Policy missing conditions.")
    matches, least, most = [], 0, _LARGEST
    for condition in document["conditions"]:
        if isinstance(condition, list) and condition and str(condition[0]).lower() == _RANGE:
            here = _sizes(condition)
            least, most = max(least, here[0]), min(most, here[1])
        else:
            matches.append(_match(condition))
    return PostPolicy(expires, tuple(matches), (least, most))


def _plain(text: str) -> str:
    """JSON as AWS writes it has two escapes more."""
    return _ESCAPE.sub(lambda found: {"$": "$", "v": "\\u000b"}.get(found[1], found[0]), text)


def _expiration(given: Any) -> float:
    text = given if isinstance(given, str) else json.dumps(given)
    if _EXPIRATION.fullmatch(text):
        try:
            return datetime.fromisoformat(text[:19]).replace(tzinfo=UTC).timestamp()
        except ValueError:
            pass
    raise _invalid(f"Invalid 'expiration' value: '{text}'")


def _match(condition: Any) -> tuple[str, str, str, str]:
    if isinstance(condition, dict):
        if len(condition) != 1:
            raise _invalid("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.")
        name, value = next(iter(condition.items()))
        condition = ["eq", f"${name}", value]
        if not isinstance(value, str):
            raise _invalid("Invalid Simple-Condition: value must be a string.")
    if not isinstance(condition, list) or len(condition) != 3 or not all(isinstance(each, str) for each in condition):
        raise _invalid(f"Invalid Condition: {json.dumps(condition)}")
    operator, name, value = condition
    if operator.lower() not in _MATCHES:
        raise _invalid(f"Invalid Condition: unknown operation '{operator}'.")
    quoted = json.dumps(condition, ensure_ascii=False)
    if not name.startswith("$"):
        raise _denied(f"Policy Condition failed: {quoted}")
    return operator.lower(), name[1:].lower(), value, quoted


def _sizes(condition: list[Any]) -> tuple[int, int]:
    if len(condition) != 3:
        raise _invalid(f"Invalid {_RANGE}: it takes a least and a most.")
    bounds = [str(each) for each in condition[1:]]
    if any(each.startswith("-") for each in bounds):
        raise _invalid(f"Invalid {_RANGE}: a size is not negative.")
    if not all(each.isascii() and each.isdigit() and len(each) < 19 for each in bounds):
        raise _denied(f"Policy Condition failed: {json.dumps([condition[0], *bounds])}")
    return int(bounds[0]), int(bounds[1])


def _met(operator: str, name: str, value: str, given: str) -> bool:
    if operator == "eq":
        return given == value
    if name == "content-type":  # may be a list: each of it counts
        return all(each.strip().startswith(value) for each in given.split(","))
    return given.startswith(value)


def _denied(reason: str) -> ServiceError:
    return ServiceError("AccessDenied", f"Invalid according to Policy: {reason}", 403)


def _invalid(reason: str) -> ServiceError:
    return ServiceError("InvalidPolicyDocument", f"Invalid Policy: {reason}", 400)
