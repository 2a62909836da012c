"""The language in which algorithms declare their hyperparameters. Standard library only.

All values arrive as strings. `Hyperparameters.validate` answers typed values or raises ClientError in the words of
AWS's containers. Keys that start with `_` belong to the service (tuning jobs add some): one that an algorithm declares
is checked like any other, the rest are accepted and left out.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from clary.algorithms.errors import ClientError

Kind = Literal["Integer", "Continuous", "Categorical", "FreeText"]
Rule = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Interval:
    """Numbers between `low` and `high`; an open end does not belong to it."""

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return above and below

    def __str__(self) -> str:
        low = "(-inf" if math.isinf(self.low) else f"{'(' if self.low_open else '['}{self.low}"
        high = "+inf)" if math.isinf(self.high) else f"{self.high}{')' if self.high_open else ']'}"
        return f"{low}, {high}"


@dataclass(frozen=True, slots=True)
class Hyperparameter:
    """One declaration. `parse` turns the string into the value (ValueError: not parsable); every one of `parts(value)`
    must lie in `allowed`. `default`, a parsed value, is filled in when the key is absent; None leaves it absent.
    `tunable` is the range that AWS recommends to tuning jobs; None means not tunable."""

    name: str
    kind: Kind
    parse: Callable[[str], Any]
    allowed: Interval | tuple[Any, ...] | Callable[[str], bool] | None = None
    required: bool = False
    default: Any = None
    tunable: Interval | tuple[str, ...] | None = None
    aliases: tuple[str, ...] = ()
    parts: Callable[[Any], Iterable[Any]] = lambda value: (value,)

    def read(self, text: str) -> Any:
        """The checked value of `text`; raises ClientError."""
        try:
            value = self.parse(text)
            inside = all(self._allows(part) for part in self.parts(value))
        except (ValueError, SyntaxError, TypeError) as problem:
            kind = "ValueError" if isinstance(problem, ValueError) else type(problem).__name__
            raise ClientError(f"Hyperparameter {self.name}: could not parse value (caused by {kind})") from problem
        if not inside:
            raise ClientError(f"Hyperparameter {self.name}: {value} is not in {self._range_words()}")
        return value

    def _allows(self, part: Any) -> bool:
        if self.allowed is None:
            return True
        if callable(self.allowed):
            return self.allowed(part)
        return part in self.allowed

    def _range_words(self) -> str:
        return str(list(self.allowed)) if isinstance(self.allowed, tuple) else str(self.allowed)


def integer(name: str, allowed: Interval, **more: Any) -> Hyperparameter:
    return Hyperparameter(name, "Integer", int, allowed, **more)


def continuous(name: str, allowed: Interval, **more: Any) -> Hyperparameter:
    return Hyperparameter(name, "Continuous", _finite, allowed, **more)


def categorical(name: str, *allowed: str, **more: Any) -> Hyperparameter:
    return Hyperparameter(name, "Categorical", str, allowed, **more)


def comma_list(name: str, allowed: tuple[str, ...] | Callable[[str], bool], **more: Any) -> Hyperparameter:
    """A list written "a,b"; the value is a list of strings."""
    return Hyperparameter(name, "FreeText", _split, allowed, parts=list, **more)


def nested_list(name: str, allowed: Interval, **more: Any) -> Hyperparameter:
    """Lists of integers in a list, written "[[1,2],[3]]"."""
    parts = lambda value: [item for inner in value for item in inner]  # noqa: E731
    return Hyperparameter(name, "FreeText", ast.literal_eval, allowed, parts=parts, **more)


def integer_tuple(name: str, *allowed: int, **more: Any) -> Hyperparameter:
    """Integers written "(1,0,-1)"; one alone may stand without a comma."""
    return Hyperparameter(name, "FreeText", _tuple, allowed, parts=list, **more)


def free_text(name: str, **more: Any) -> Hyperparameter:
    return Hyperparameter(name, "FreeText", str, **more)


class Hyperparameters:
    """All hyperparameters of an algorithm. `rules` look at all values together and raise ClientError."""

    def __init__(self, *declared: Hyperparameter, rules: tuple[Rule, ...] = ()) -> None:
        self.declared = {each.name: each for each in declared}
        self._aliases = {alias: each.name for each in declared for alias in each.aliases}
        self._rules = rules

    def validate(self, given: Mapping[str, str]) -> dict[str, Any]:
        """Typed values by declared name; raises ClientError on the first thing that is wrong."""
        texts = {self._aliases.get(key, key): text for key, text in given.items()}
        values: dict[str, Any] = {}
        for each in self.declared.values():
            if each.name not in texts:
                if each.required:
                    raise ClientError(f"Missing required hyperparameter: {each.name}")
                if each.default is not None:
                    values[each.name] = each.default
        for name, text in texts.items():
            if name in self.declared:
                values[name] = self.declared[name].read(str(text))
            elif not name.startswith("_"):
                raise ClientError(f"Extraneous hyperparameter found: {name}")
        for rule in self._rules:
            rule(values)
        return values


def _finite(text: str) -> float:
    value = float(text)
    if math.isnan(value):
        raise ValueError("not a number")
    return value


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _tuple(text: str) -> tuple[int, ...]:
    value = ast.literal_eval(text.strip())
    return (value,) if isinstance(value, int) else tuple(value)
