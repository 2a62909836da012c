"""Texts of a policy with wildcards and variables in them, and whether a value of a request matches one.

`*` stands for any run of characters and `?` for any one. In policies of version 2012-10-17 `${key}` is the value of a
condition key, `${key, 'text'}` has a default, and `${*}`, `${?}`, `${$}` are the characters themselves. A variable
whose key is not in the request, or has several values, and that has no default, makes its text match nothing. What a
variable stands for is taken literally, wildcards included.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Context = Mapping[str, Sequence[str]]  # condition keys, lower-cased, to their values
Test = Callable[[str], bool]
Manner = Literal["exact", "folded", "like", "like-folded", "arn"]


class Wild(enum.Enum):
    """A wildcard."""

    MANY = "*"
    ONE = "?"


@dataclass(frozen=True, slots=True)
class Variable:
    """`key` is lower-cased."""

    key: str
    default: str | None


Resolved = tuple[str | Wild, ...]

_WILD = re.compile(r"[*?]")
_WITH_VARIABLES = re.compile(r"\$\{[^{}]*\}|[*?]")
_DEFAULT = re.compile(r"'([^']*)'")
_COMPONENTS = 6  # of an ARN


class Pattern:
    """`manner` is how values compare: "exact" and "folded" (without case) know no wildcards, "like" and "like-folded"
    do, "arn" compares the six components of an ARN one by one, each with wildcards."""

    __slots__ = ("_pieces", "_test", "manner", "text")

    def __init__(self, text: str, manner: Manner, variables: bool) -> None:
        self.text = text
        self.manner = manner
        pieces = tuple(
            piece for piece in _pieces(text, manner in ("like", "like-folded", "arn"), variables) if piece != ""
        )
        self._pieces = pieces
        fixed = _without_variables(pieces)
        self._test = None if fixed is None else _test(fixed, manner)

    def matches(self, value: str, context: Context) -> bool:
        if self._test is not None:
            return self._test(value)
        resolved = _resolve(self._pieces, context)
        return resolved is not None and _test(resolved, self.manner)(value)

    def variables(self) -> Iterator[str]:
        """The keys that it takes values of, lower-cased."""
        return (piece.key for piece in self._pieces if isinstance(piece, Variable))


def _pieces(text: str, wildcards: bool, variables: bool) -> Iterator[str | Wild | Variable]:
    at = 0
    for found in (_WITH_VARIABLES if variables else _WILD).finditer(text):
        yield text[at : found.start()]
        yield _piece(found[0], wildcards)
        at = found.end()
    yield text[at:]


def _piece(found: str, wildcards: bool) -> str | Wild | Variable:
    if len(found) == 1:
        return Wild(found) if wildcards else found
    inner = found[2:-1]
    if inner in ("*", "?", "$"):
        return inner
    key, comma, text = inner.partition(",")
    default = _DEFAULT.fullmatch(text.strip())
    if comma and default is None:
        return Variable(inner, None)  # no key is written so: it matches nothing
    return Variable(key.strip().lower(), default[1] if default else None)


def _without_variables(pieces: Sequence[str | Wild | Variable]) -> Resolved | None:
    fixed = tuple(piece for piece in pieces if not isinstance(piece, Variable))
    return fixed if len(fixed) == len(pieces) else None


def _resolve(pieces: Sequence[str | Wild | Variable], context: Context) -> Resolved | None:
    """None when a variable has no value."""
    resolved: list[str | Wild] = []
    for piece in pieces:
        if not isinstance(piece, Variable):
            resolved.append(piece)
            continue
        values = context.get(piece.key, ())
        value = values[0] if len(values) == 1 else (piece.default if not values else None)
        if value is None:
            return None
        resolved.append(value)
    return tuple(piece for piece in resolved if piece != "")


@lru_cache(maxsize=8192)
def _test(pieces: Resolved, manner: Manner) -> Test:
    if manner == "arn":
        return _arn_test(pieces)
    folded = manner in ("folded", "like-folded")
    if folded:
        pieces = tuple(piece if isinstance(piece, Wild) else piece.lower() for piece in pieces)
    plain = _plain(pieces)
    if pieces == (Wild.MANY,):
        return _anything
    if folded:
        return (lambda value: value.lower() == plain) if plain is not None else _folded(_expression(pieces))
    return plain.__eq__ if plain is not None else _matching(_expression(pieces))


def _anything(_value: str) -> bool:
    return True


def _plain(pieces: Resolved) -> str | None:
    """The text itself, when there is no wildcard."""
    texts = [piece for piece in pieces if not isinstance(piece, Wild)]
    return "".join(texts) if len(texts) == len(pieces) else None


def _matching(expression: re.Pattern[str]) -> Test:
    return lambda value: expression.fullmatch(value) is not None


def _folded(expression: re.Pattern[str]) -> Test:
    return lambda value: expression.fullmatch(value.lower()) is not None


def _expression(pieces: Resolved) -> re.Pattern[str]:
    """Each stretch between two `*` is matched where it first occurs and never again: no text takes long to refuse."""
    stretches = [""]
    for piece in pieces:
        if piece is Wild.MANY:
            stretches.append("")
        else:
            stretches[-1] += "." if isinstance(piece, Wild) else re.escape(piece)
    first, *others = stretches
    if not others:
        return re.compile(first, re.DOTALL)
    *middle, last = others
    inner = "".join(f"(?>.*?{stretch})" for stretch in middle if stretch)
    return re.compile(f"{first}{inner}.*{last}", re.DOTALL)


def _arn_test(pieces: Resolved) -> Test:
    components = _split(pieces)
    if len(components) < _COMPONENTS and components[-1][-1:] == (Wild.MANY,):
        return _test(pieces, "like")  # `arn:aws:s3*` goes on to the end
    tests = [_test(component, "like") for component in components]

    def test(value: str) -> bool:
        given = value.split(":", _COMPONENTS - 1)
        return len(given) == len(tests) and all(each(part) for each, part in zip(tests, given, strict=True))

    return test


def _split(pieces: Resolved) -> list[Resolved]:
    """At the first five colons."""
    components: list[list[str | Wild]] = [[]]
    for piece in pieces:
        if isinstance(piece, Wild):
            components[-1].append(piece)
            continue
        first, *others = piece.split(":", _COMPONENTS - len(components))
        components[-1].append(first)
        components += [[other] for other in others]
    return [tuple(piece for piece in component if piece != "") for component in components]
