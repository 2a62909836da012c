"""The policy language: JSON documents read into statements that can be asked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from clary.auth.policy import conditions
from clary.auth.policy.conditions import Condition, NullCondition
from clary.auth.policy.operators import moment
from clary.auth.policy.patterns import Context, Manner, Pattern
from clary.auth.policy.whom import KINDS, Whom, whom

VERSIONS = ("2012-10-17", "2008-10-17")  # the first has variables

_ELEMENTS = frozenset(
    {"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)
_SYNTAX = "Syntax errors in policy."
_MOST_KNOWN = 1024  # actions, in whatever spelling, that a policy remembers its statements about


class MalformedPolicy(Exception):
    """`message` is IAM's wording; `not_json`: it is not even JSON (services word that each in their own way)."""

    def __init__(self, message: str, not_json: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.not_json = not_json


@dataclass(frozen=True, slots=True)
class Patterns:
    """Action or NotAction, Resource or NotResource."""

    patterns: tuple[Pattern, ...]
    inverted: bool

    def match(self, value: str, context: Context) -> bool:
        for pattern in self.patterns:  # not any(): it would take twice as long
            if pattern.matches(value, context):
                return not self.inverted
        return self.inverted

    @property
    def everything(self) -> bool:
        """Whether they plainly match whatever there is."""
        return not self.inverted and any(pattern.text == "*" for pattern in self.patterns)


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """`index` is its place in the policy, from 0. An element that is not there is None."""

    index: int
    sid: str
    allow: bool
    whom: Whom | None
    actions: Patterns | None
    resources: Patterns | None
    conditions: tuple[Condition | NullCondition, ...]

    def about(self, action: str) -> bool:
        """`action` is lower-cased."""
        return self.actions is not None and self.actions.match(action, {})

    def applies(self, resource: str, context: Context) -> bool:
        """To a request for an action that it is about, of somebody whom it is about."""
        if self.resources is not None and not self.resources.match(resource, context):
            return False
        return not self.conditions or all(condition.holds(context) for condition in self.conditions)

    @property
    def unconditional(self) -> bool:
        """Whether it plainly applies whatever the resource and the request are."""
        return not self.conditions and self.resources is not None and self.resources.everything


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """A policy as `parse` read it; compares by identity. `text` is the document, `source` what to call it."""

    text: str
    source: str
    version: str
    identifier: str
    statements: tuple[Statement, ...]
    _known: dict[str, tuple[Statement, ...]] = field(init=False, repr=False, default_factory=dict)

    def about(self, action: str) -> tuple[Statement, ...]:
        """The statements about `action`, such as "s3:GetObject"; remembered, since policies do not change."""
        known = self._known.get(action)
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            folded = action.lower()
            known = tuple(statement for statement in self.statements if statement.about(folded))
            self._known[action] = known
        return known

    def condition_keys(self) -> set[str]:
        """The condition keys that its conditions and variables look at, lower-cased."""
        found: set[str] = set()
        for statement in self.statements:
            for each in statement.conditions:
                found.update(each.keys())
            for pattern in statement.resources.patterns if statement.resources else ():
                found.update(pattern.variables())
        return found


def parse(text: str | Mapping[str, Any], source: str = "") -> Policy:
    """Raises MalformedPolicy for what is no policy; whether it may be one of an identity, of a resource or a trust
    policy, `clary.auth.policy.checks` says. The same text gives the same object as long as it is remembered."""
    return _parse(text if isinstance(text, str) else json.dumps(text), source)


def stored(text: str, source: str) -> Policy | None:
    """What decides of a text that was taken as a policy once; None where an earlier release took what this one does
    not."""
    try:
        return parse(text, source)
    except MalformedPolicy:
        return None


@lru_cache(maxsize=4096)
def _parse(text: str, source: str) -> Policy:
    document = _json(text)
    if not isinstance(document, dict) or document.keys() - {"Version", "Id", "Statement"}:
        raise MalformedPolicy(_SYNTAX)
    version, identifier = document.get("Version", VERSIONS[1]), document.get("Id", "")
    if version not in VERSIONS:
        raise MalformedPolicy("The policy must contain a valid version string")
    given = document.get("Statement")
    entries = [given] if isinstance(given, dict) else given
    if not isinstance(entries, list) or not entries or not isinstance(identifier, str):
        raise MalformedPolicy(_SYNTAX)
    variables = version == VERSIONS[0]
    statements = tuple(_statement(index, each, variables) for index, each in enumerate(entries))
    return Policy(text, source, version, identifier, statements)


def _json(text: str) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise MalformedPolicy(_SYNTAX)  # which of the two is meant cannot be known
        return found

    try:
        document = json.loads(text, object_pairs_hook=once)
        json.dumps(document, ensure_ascii=False).encode()  # half a character can be escaped, and nothing can store it
    except (ValueError, RecursionError):
        raise MalformedPolicy("This policy contains invalid Json", not_json=True) from None
    return document


def _statement(index: int, given: Any, variables: bool) -> Statement:
    if not isinstance(given, dict) or given.keys() - _ELEMENTS:
        raise MalformedPolicy(_SYNTAX)
    effect, sid = given.get("Effect"), given.get("Sid", "")
    if effect not in ("Allow", "Deny") or not isinstance(sid, str):
        raise MalformedPolicy(_SYNTAX)
    actions = _patterns(given, "Action", "like-folded", variables=False)
    resources = _patterns(given, "Resource", "like", variables)
    found = tuple(_conditions(given.get("Condition", {}), variables))
    return Statement(index, sid, effect == "Allow", _whom(given), actions, resources, found)


def _element(given: dict[str, Any], name: str) -> tuple[Any, bool]:
    """(value or None, whether it is the Not element)."""
    inverted = f"Not{name}" in given
    if inverted and name in given:
        raise MalformedPolicy(_SYNTAX)
    return given.get(f"Not{name}" if inverted else name), inverted


def _texts(value: object) -> tuple[str, ...]:
    """Of a text or a list of them."""
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str) for each in values):
        raise MalformedPolicy(_SYNTAX)
    return tuple(values)


def _patterns(given: dict[str, Any], name: str, manner: Manner, variables: bool) -> Patterns | None:
    value, inverted = _element(given, name)
    if value is None and name not in given and f"Not{name}" not in given:
        return None
    return Patterns(tuple(Pattern(text, manner, variables) for text in _texts(value)), inverted)


def _whom(given: dict[str, Any]) -> Whom | None:
    value, inverted = _element(given, "Principal")
    if value is None:
        return None
    if value == "*":
        return whom(None, inverted)
    if not isinstance(value, dict) or not value or value.keys() - set(KINDS):
        raise MalformedPolicy(_SYNTAX)
    return whom({kind: _texts(names) for kind, names in value.items()}, inverted)


def _conditions(given: Any, variables: bool) -> Iterator[Condition | NullCondition]:
    if not isinstance(given, dict):
        raise MalformedPolicy(_SYNTAX)
    for name, keys in given.items():
        if not isinstance(keys, dict) or (keys and not conditions.known(name)):
            raise MalformedPolicy(_SYNTAX)
        for key, value in keys.items():
            values = tuple(_scalar(each) for each in (value if isinstance(value, list) else [value]))
            if conditions.operator_of(name).startswith("Date") and not all(moment(each) is not None for each in values):
                raise MalformedPolicy("The policy failed legacy parsing")
            yield conditions.condition(name, key, values, variables)


def _scalar(value: object) -> str:
    """JSON's truths and numbers stand for their texts."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise MalformedPolicy(_SYNTAX)
