"""Filter policies as subscriptions are given them: what is one, and what is too much.

A policy names keys, each with a list of conditions of which one has to hold; "$or" has alternatives. Of the message's
body the keys may lie within each other. `filtering` says what messages a policy lets through.
"""

from __future__ import annotations

import ipaddress
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from clary.services.sns import faults

OR = "$or"

_MOST_KEYS, _MOST_COMBINATIONS, _LONGEST = 5, 150, 262_144
_NUMERIC = ("=", "<", "<=", ">", ">=")


class _Bad(Exception):
    pass


def checked(text: str, nested: bool, where: str = "") -> str | None:
    """The policy as it is stored; None for an empty one, which takes it away. `nested`: it is about the message's body;
    `where` stands before the reason. Raises InvalidParameter."""
    try:
        policy = _object(text)
        if policy is None:
            return None
        keys = _check(policy)
        if not nested and any(isinstance(value, dict) for key, value in policy.items() if key != OR):
            message = "Filter policy scope MessageAttributes does not support nested filter policy"
            raise faults.invalid(message)
        _check_size(policy, keys)
    except _Bad as error:
        raise faults.invalid(f"{where}FilterPolicy: {error}") from None
    except RecursionError:
        raise faults.invalid(f"{where}FilterPolicy: Filter policy is too complex") from None
    return text


def _check_size(policy: Mapping[str, Any], keys: int) -> None:
    if keys > _MOST_KEYS:
        raise _Bad(f"Filter policy can not have more than {_MOST_KEYS} keys")
    if _combinations(policy, 1) > _MOST_COMBINATIONS:
        raise _Bad("Filter policy is too complex")


def _object(text: str) -> dict[str, Any] | None:
    if not text:
        return None
    if len(text) > _LONGEST:
        raise _Bad("Filter policy is too long")
    try:
        policy = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _Bad(f"failed to parse JSON. {error}") from None
    if not isinstance(policy, dict):
        raise _Bad("Filter policy must be a JSON object")
    return policy or None


def _check(policy: Mapping[str, Any]) -> int:
    """How many keys have conditions."""
    keys = 0
    for key, value in policy.items():
        if key == OR and isinstance(value, list):
            if len(value) < 2 or not all(isinstance(each, dict) and each for each in value):
                raise _Bad('"$or" must be an array of at least two objects')
            keys += sum(_check(each) for each in value)
        elif isinstance(value, dict):
            if not value:
                raise _Bad("Empty objects are not allowed")
            keys += _check(value)
        elif isinstance(value, list):
            if not value:
                raise _Bad("Empty arrays are not allowed")
            for each in value:
                _condition(each)
            keys += 1
        else:
            raise _Bad(f'"{key}" must be an object or an array')
    return keys


def _combinations(policy: Mapping[str, Any], depth: int) -> int:
    total = 1
    for key, value in policy.items():
        if key == OR and isinstance(value, list):
            total *= sum(_combinations(each, depth) for each in value)
        elif isinstance(value, dict):
            total *= _combinations(value, depth + 1)
        else:
            total *= len(value) * depth
    return total


def _condition(given: Any) -> None:
    if isinstance(given, list):
        raise _Bad("Match value must be String, number, true, false, or null")
    if not isinstance(given, dict):
        _finite(given)
        return
    if len(given) != 1:
        raise _Bad("Only one key allowed in match expression")
    ((name, value),) = given.items()
    check = _OPERATORS.get(name)
    if check is None:
        raise _Bad(f"Unrecognized match type {name}")
    check(value)


def _finite(value: Any) -> None:
    if isinstance(value, int | float) and not _is_double(value):
        raise _Bad("Match value must be String, number, true, false, or null")


def _is_double(value: float) -> bool:
    """JSON's integers have no bounds of their own."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _text(name: str) -> Callable[[Any], None]:
    def check(value: Any) -> None:
        if not isinstance(value, str):
            raise _Bad(f"{name} match pattern must be a string")

    return check


def _exists(value: Any) -> None:
    if not isinstance(value, bool):
        raise _Bad("exists match pattern must be either true or false.")


def _anything_but(value: Any) -> None:
    if isinstance(value, dict):
        if len(value) != 1 or "prefix" not in value:
            raise _Bad(f"Unsupported anything-but pattern: {next(iter(value), '')}")
        _text("prefix")(value["prefix"])
        return
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(each, str | int | float) for each in values):
        raise _Bad("Value of anything-but must be an array or single string/number value.")
    for each in values:
        _finite(each)


def _cidr(value: Any) -> None:
    if not isinstance(value, str):
        raise _Bad("prefix match pattern must be a string")
    address, slash, bits = value.partition("/")
    if not slash:
        raise _Bad("Malformed CIDR, one '/' required")
    if not (bits.isascii() and bits.isdigit()):
        raise _Bad("Malformed CIDR, mask bits must be an integer")
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise _Bad(f"Nonstandard IP address: {address}") from None


def _numeric(value: Any) -> None:
    if not isinstance(value, list) or not value or not isinstance(value[0], str):
        raise _Bad(f"Invalid member in numeric match: {value[0] if isinstance(value, list) and value else ']'}")
    if value[0] not in _NUMERIC:
        raise _Bad(f"Unrecognized numeric range operator: {value[0]}")
    bounds = [_number(value, at) for at in range(0, len(value), 2)]
    if len(value) == 2:
        return
    if not value[0].startswith(">"):
        raise _Bad("Too many elements in numeric expression")
    if value[2] not in ("<", "<="):
        raise _Bad(f"Bad numeric range operator: {value[2]}")
    if len(value) > 4:
        raise _Bad("Too many terms in numeric range expression")
    if bounds[0] >= bounds[1]:
        raise _Bad("Bottom must be less than top")


def _number(value: list[Any], at: int) -> float:
    """The number behind the operator at `at`."""
    operator = value[at]
    if not isinstance(operator, str):
        raise _Bad(f"Bad value in numeric range: {operator}")
    found = value[at + 1] if at + 1 < len(value) else None
    if isinstance(found, bool) or not isinstance(found, int | float) or not _is_double(found):
        raise _Bad(f"Value of {'equals' if operator == '=' else operator} must be numeric")
    return found


_OPERATORS: Mapping[str, Callable[[Any], None]] = {
    "prefix": _text("prefix"),
    "suffix": _text("suffix"),
    "equals-ignore-case": _text("equals-ignore-case"),
    "exists": _exists,
    "anything-but": _anything_but,
    "cidr": _cidr,
    "numeric": _numeric,
}
