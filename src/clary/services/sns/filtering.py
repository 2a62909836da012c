"""Which messages a subscription's filter policy lets through."""

from __future__ import annotations

import functools
import ipaddress
import json
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
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
MOST = 2_000_000  # about a second; a full topic of full policies and a message of some dozen values stays below
_LONG = 1024  # characters that cost as much as a comparison
_READ = 25  # the same for a policy that is to be read
_SHORT = 8192  # characters of a policy that is kept


class TooMuch(Exception):
    """The message would have to be compared more often than one may be."""


class Budget:
    """What the filters of one request may cost, in comparisons."""

    def __init__(self, most: int = MOST) -> None:
        self._left = most

    def spend(self, comparisons: int) -> None:
        """Raises TooMuch."""
        self._left -= comparisons
        if self._left < 0:
            raise TooMuch


class Body:
    """A message's text, read as JSON once, when the first policy asks what is in it. `budget` pays for what is
    compared."""

    def __init__(self, text: str, budget: Budget | None = None) -> None:
        self._text = text
        self.budget = budget or Budget()

    @functools.cached_property
    def value(self) -> Any:
        """None for what is no JSON."""
        try:
            return json.loads(self._text)
        except (ValueError, RecursionError):
            return None


def wanted(attributes: Mapping[str, str], body: Body, given: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether a subscription of these attributes gets the message with the message attributes `given`. Raises
    TooMuch."""
    text = attributes.get("FilterPolicy")
    if text is None:
        return True
    policy = _policy(text, body.budget)
    if attributes.get("FilterPolicyScope") != BODY:
        return _matches(policy, {name: _value(each) for name, each in given.items()}, body.budget)
    return isinstance(body.value, dict) and _matches(policy, body.value, body.budget)


@dataclass(frozen=True, slots=True)
class _Conditions:
    """One of them has to hold. `literals` are what `_literal` makes of them; `others` operators with what they want."""

    literals: frozenset[tuple[bool, Any]]
    exists: frozenset[bool]
    others: tuple[tuple[Callable[[Any, Any], bool], Any], ...]

    @classmethod
    def of(cls, given: list[Any]) -> _Conditions:
        operators = [next(iter(each.items())) for each in given if isinstance(each, dict)]
        return cls(
            frozenset(_literal(each) for each in given if not isinstance(each, dict)),
            frozenset(wish for name, wish in operators if name == "exists"),
            tuple((_OPERATORS[name], _prepared(name, wish)) for name, wish in operators if name != "exists"),
        )

    def hold(self, value: Any, budget: Budget) -> bool:
        if (value is not _ABSENT) in self.exists:
            return True
        if value is _ABSENT:
            return False
        for each in _flat(value):
            size = len(each) if isinstance(each, str) else 0
            budget.spend(1 + len(self.others) * (1 + size // _LONG))
            if isinstance(each, dict):
                continue
            if _literal(each) in self.literals or any(holds(wish, each) for holds, wish in self.others):
                return True
        return False


_Policy = Mapping[str, Any]  # key -> _Conditions, a policy, or for "$or" a list of policies


def _policy(text: str, budget: Budget) -> _Policy:
    if len(text) <= _SHORT:
        return _kept_policy(text)
    budget.spend(len(text) // _READ)
    return _compiled(json.loads(text))


@functools.lru_cache(1024)  # pure, so never stale; of short texts, so that it is bounded in bytes too
def _kept_policy(text: str) -> _Policy:
    return _compiled(json.loads(text))


def _compiled(given: Mapping[str, Any]) -> _Policy:
    made: dict[str, Any] = {}
    for key, wish in given.items():
        if key == OR and isinstance(wish, list):
            made[key] = [_compiled(each) for each in wish]
        else:
            made[key] = _compiled(wish) if isinstance(wish, dict) else _Conditions.of(wish)
    return made


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


def _flat(value: Any) -> Iterator[Any]:
    """What arrays hold, however deep, or the value itself."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            waiting.extend(each)
        else:
            yield each


def _matches(policy: _Policy, node: Any, budget: Budget) -> bool:
    """Of several objects in an array one has to match as a whole."""
    for each in _flat(node):
        budget.spend(1)
        if isinstance(each, dict) and all(_holds(key, wish, each, budget) for key, wish in policy.items()):
            return True
    return False


def _holds(key: str, wish: Any, node: Mapping[str, Any], budget: Budget) -> bool:
    budget.spend(1)
    if isinstance(wish, _Conditions):
        return wish.hold(node.get(key, _ABSENT), budget)
    if isinstance(wish, list):
        return any(_matches(each, node, budget) for each in wish)
    return _matches(wish, node.get(key, {}), budget)


def _literal(value: Any) -> tuple[bool, Any]:
    """By which it is found again: JSON's truths are no numbers. Nothing is found of what is an object."""
    return isinstance(value, bool), value


def _prepared(name: str, wish: Any) -> Any:
    """What an operator wants, so that one look costs the same however much that is."""
    if name == "cidr":
        return ipaddress.ip_network(wish, strict=False)
    if name == "anything-but" and not isinstance(wish, dict):
        return frozenset(_literal(each) for each in (wish if isinstance(wish, list) else [wish]))
    return wish


def _prefix(wish: str, value: Any) -> bool:
    return isinstance(value, str) and value.startswith(wish)


def _suffix(wish: str, value: Any) -> bool:
    return isinstance(value, str) and value.endswith(wish)


def _same_letters(wish: str, value: Any) -> bool:
    return isinstance(value, str) and value.casefold() == wish.casefold()


def _anything_but(wish: Any, value: Any) -> bool:
    if isinstance(wish, dict):
        return not _prefix(wish["prefix"], value)
    return _literal(value) not in wish


def _cidr(wish: ipaddress.IPv4Network | ipaddress.IPv6Network, value: Any) -> bool:
    try:
        return isinstance(value, str) and ipaddress.ip_address(value) in wish
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
