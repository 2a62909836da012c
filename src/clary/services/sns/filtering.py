"""Which messages a subscription's filter policy lets through."""

from __future__ import annotations

import functools
import ipaddress
import json
import operator
from collections.abc import Callable, Mapping
from typing import Any

from clary.services.sns.filter_policies import OR
from clary.services.sns.subscription_attributes import BODY

_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ABSENT = object()


class Body:
    """A message's text, read as JSON once, when the first policy asks what is in it."""

    def __init__(self, text: str) -> None:
        self._text = text

    @functools.cached_property
    def value(self) -> Any:
        """None for what is no JSON."""
        try:
            return json.loads(self._text)
        except (ValueError, RecursionError):
            return None


def wanted(attributes: Mapping[str, str], body: Body, given: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether a subscription of these attributes gets the message with the message attributes `given`."""
    text = attributes.get("FilterPolicy")
    if text is None:
        return True
    policy = _policy(text)
    if attributes.get("FilterPolicyScope") != BODY:
        return _matches(policy, {name: _value(each) for name, each in given.items()})
    return isinstance(body.value, dict) and _matches(policy, body.value)


@functools.lru_cache(1024)  # pure, so never stale
def _policy(text: str) -> dict[str, Any]:
    policy: dict[str, Any] = json.loads(text)
    return policy


def _value(attribute: Mapping[str, str]) -> Any:
    """What a policy compares; nothing that could be equal to anything for what it is not about."""
    kind, text = attribute["Type"], attribute["Value"]
    try:
        if kind == "Number":
            return float(text)
        if kind == "String.Array":
            return json.loads(text)
    except (ValueError, RecursionError):
        return _ABSENT
    return text if kind.startswith("String") else _ABSENT


def _matches(policy: Mapping[str, Any], node: Any) -> bool:
    """Of several objects in an array one has to match as a whole."""
    if isinstance(node, list):
        return any(_matches(policy, each) for each in node)
    if not isinstance(node, dict):
        return False
    for key, wish in policy.items():
        if key == OR and isinstance(wish, list):
            held = any(_matches(each, node) for each in wish)
        elif isinstance(wish, dict):
            held = _matches(wish, node.get(key, {}))
        else:
            held = any(_holds(condition, node.get(key, _ABSENT)) for condition in wish)
        if not held:
            return False
    return True


def _holds(condition: Any, value: Any) -> bool:
    if isinstance(condition, dict) and "exists" in condition:
        return bool(condition["exists"]) == (value is not _ABSENT)
    if isinstance(value, list):
        return any(_holds(condition, each) for each in value)
    if value is _ABSENT or isinstance(value, dict):
        return False
    if not isinstance(condition, dict):
        return _equal(condition, value)
    ((name, wish),) = condition.items()
    return _OPERATORS[name](wish, value)


def _equal(wish: Any, value: Any) -> bool:
    """JSON's truths are no numbers."""
    return isinstance(wish, bool) == isinstance(value, bool) and bool(wish == value)


def _prefix(wish: str, value: Any) -> bool:
    return isinstance(value, str) and value.startswith(wish)


def _suffix(wish: str, value: Any) -> bool:
    return isinstance(value, str) and value.endswith(wish)


def _same_letters(wish: str, value: Any) -> bool:
    return isinstance(value, str) and value.casefold() == wish.casefold()


def _anything_but(wish: Any, value: Any) -> bool:
    if isinstance(wish, dict):
        return not _prefix(wish["prefix"], value)
    return not any(_equal(each, value) for each in (wish if isinstance(wish, list) else [wish]))


def _cidr(wish: str, value: Any) -> bool:
    try:
        return isinstance(value, str) and ipaddress.ip_address(value) in ipaddress.ip_network(wish, strict=False)
    except ValueError:
        return False


def _numeric(wish: list[Any], value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    pairs = zip(wish[::2], wish[1::2], strict=True)
    return all(_COMPARED[name](value, bound) for name, bound in pairs)


_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "prefix": _prefix,
    "suffix": _suffix,
    "equals-ignore-case": _same_letters,
    "anything-but": _anything_but,
    "cidr": _cidr,
    "numeric": _numeric,
}
