"""Conditions of a statement: one operator over one key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from clary.auth.policy.operators import OPERATORS, Comparison
from clary.auth.policy.patterns import Context, Pattern

Quantifier = Literal["one", "any", "all"]

_QUANTIFIERS: dict[str, Quantifier] = {"ForAnyValue:": "any", "ForAllValues:": "all"}
_IF_EXISTS = "IfExists"


@dataclass(frozen=True, slots=True)
class Condition:
    """`key` is lower-cased. `values` are the policy's, as texts; `absent`: it holds when the key is not there."""

    key: str
    values: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    quantifier: Quantifier
    negated: bool
    absent: bool

    def holds(self, context: Context) -> bool:
        given = context.get(self.key)
        if not given:
            return self.absent
        found = (self._holds_of(value, context) for value in given)
        # Without a quantifier the key should have one value. Of several, one has to compare, and with a negated
        # operator none may.
        every = self.quantifier == "all" or (self.quantifier == "one" and self.negated)
        return all(found) if every else any(found)

    def _holds_of(self, value: str, context: Context) -> bool:
        return any(comparison(value, context) for comparison in self.comparisons) != self.negated

    def keys(self) -> Iterator[str]:
        """Those it looks at, of its variables too."""
        yield self.key
        for value in self.values:
            yield from Pattern(value, "exact", variables=True).variables()


@dataclass(frozen=True, slots=True)
class NullCondition:
    """Whether a key is missing: it holds when that is one of `wanted`."""

    key: str
    wanted: frozenset[bool]

    def holds(self, context: Context) -> bool:
        return (not context.get(self.key)) in self.wanted

    def keys(self) -> Iterator[str]:
        yield self.key


def known(name: str) -> bool:
    """Whether `name` is an operator, with its qualifiers."""
    quantifier, plain, if_exists = _taken_apart(name)
    return plain in OPERATORS or (plain == "Null" and not if_exists and quantifier == "one")


def condition(name: str, key: str, values: tuple[str, ...], variables: bool) -> Condition | NullCondition:
    """Of an operator that is `known`."""
    quantifier, plain, if_exists = _taken_apart(name)
    if plain == "Null":
        truths = {"true": True, "false": False}
        return NullCondition(key.lower(), frozenset(truths[each.lower()] for each in values if each.lower() in truths))
    found = OPERATORS[plain]
    absent = if_exists or quantifier == "all" or (quantifier == "one" and found.negated)
    comparisons = tuple(found.make(value, variables) for value in values)
    return Condition(key.lower(), values, comparisons, quantifier, found.negated, absent)


def operator_of(name: str) -> str:
    """`name` without its qualifiers."""
    return _taken_apart(name)[1]


def _taken_apart(name: str) -> tuple[Quantifier, str, bool]:
    """(quantifier, operator, whether with IfExists)."""
    quantifier: Quantifier = "one"
    for prefix, meaning in _QUANTIFIERS.items():
        if name.startswith(prefix):
            quantifier, name = meaning, name.removeprefix(prefix)
    return quantifier, name.removesuffix(_IF_EXISTS), name.endswith(_IF_EXISTS)
