"""The operators of conditions: how one value of a request compares with one value of a policy."""

from __future__ import annotations

import base64
import binascii
import functools
import ipaddress
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from clary.auth.policy.patterns import Context, Manner, Pattern

Comparison = Callable[[str, Context], bool]  # a value of the request, the request's keys
Maker = Callable[[str, bool], Comparison]  # the policy's value, whether the policy has variables

_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?", re.IGNORECASE)
_EPOCH = re.compile(r"\d{1,19}(\.\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Operator:
    """`negated`: it holds when no value of the policy compares."""

    make: Maker
    negated: bool = False


def _text(manner: Manner) -> Maker:
    return lambda expected, variables: Pattern(expected, manner, variables).matches


def _nothing(_value: str, _context: Context) -> bool:
    return False


def _typed(read: Callable[[str], Any], compare: Callable[[Any, Any], bool]) -> Maker:
    """Of values that `read` makes of texts; None for a text that is no such value, which compares with nothing."""

    def make(text: str, _variables: bool) -> Comparison:
        expected = read(text)
        if expected is None:
            return _nothing

        def comparison(value: str, _context: Context) -> bool:
            given = read(value)
            return given is not None and compare(given, expected)

        return comparison

    return make


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def moment(text: str) -> float | None:
    """Epoch seconds of an ISO 8601 time or of epoch seconds; None when `text` is neither."""
    if _EPOCH.fullmatch(text):
        return float(text)
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    offset = "+00:00" if zone in (None, "Z", "z") else zone
    written = f"{year}-{month}-{day}T{hour or '00'}:{minute or '00'}:{second or '00'}{offset}"
    try:
        whole = datetime.fromisoformat(written).astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        return None
    return whole + float(fraction or 0)


def _truth(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.lower())


def _octets(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


@functools.lru_cache(maxsize=4096)
def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return None


def _within(given: Any, expected: Any) -> bool:
    return bool(given.version == expected.version and given.subnet_of(expected))


_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "LessThanEquals": operator.le,
    "GreaterThan": operator.gt,
    "GreaterThanEquals": operator.ge,
}

OPERATORS: dict[str, Operator] = {
    "StringEquals": Operator(_text("exact")),
    "StringNotEquals": Operator(_text("exact"), True),
    "StringEqualsIgnoreCase": Operator(_text("folded")),
    "StringNotEqualsIgnoreCase": Operator(_text("folded"), True),
    "StringLike": Operator(_text("like")),
    "StringNotLike": Operator(_text("like"), True),
    "Bool": Operator(_typed(_truth, operator.eq)),
    "BinaryEquals": Operator(_typed(_octets, operator.eq)),
    "IpAddress": Operator(_typed(_network, _within)),
    "NotIpAddress": Operator(_typed(_network, _within), True),
    "ArnEquals": Operator(_text("arn")),
    "ArnLike": Operator(_text("arn")),
    "ArnNotEquals": Operator(_text("arn"), True),
    "ArnNotLike": Operator(_text("arn"), True),
    "NumericNotEquals": Operator(_typed(_number, operator.eq), True),
    "DateNotEquals": Operator(_typed(moment, operator.eq), True),
    **{f"Numeric{name}": Operator(_typed(_number, compare)) for name, compare in _COMPARED.items()},
    **{f"Date{name}": Operator(_typed(moment, compare)) for name, compare in _COMPARED.items()},
}
