"""JSON filter patterns: `{ $.a.b[0] = "x*" && ($.n >= 3 || $.z IS NULL) }`."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable
from typing import Any

from clary.services.logs.faults import invalid

Test = Callable[[Any], bool]

_TOKEN = re.compile(
    r"""\s*(?:(?P<join>&&|\|\||[()])|(?P<path>\$(?:\.[\w@-]+|\[\d+\]|\["[^"]*"\])+)
    |(?P<compare>!=|<=|>=|=|<|>|NOT\ EXISTS\b|IS\ (?:NULL|TRUE|FALSE)\b)
    |"(?P<string>(?:[^"\\]|\\.)*)"|(?P<word>[^\s"()&|=<>!]+))""",
    re.VERBOSE,
)
_STEP = re.compile(r'\.([\w@-]+)|\[(\d+)\]|\["([^"]*)"\]')
_ABSENT = object()
_DEEPEST = 32


def compiled(text: str) -> Callable[[str], bool]:
    """Raises InvalidParameterException."""
    if not text.endswith("}"):
        raise _wrong(text)
    parser = _Parser(text[1:-1])
    test = parser.whole()

    def matches(message: str) -> bool:
        try:
            document = json.loads(message)
        except (ValueError, RecursionError):
            return False
        return isinstance(document, dict | list) and test(document)

    return matches


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._split(text))
        self._at = 0
        self._depth = 0

    def _split(self, text: str) -> Any:
        at = 0
        text = text.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None or match.end() == at:
                raise _wrong(text)
            yield match.lastgroup, match[match.lastgroup or 0]
            at = match.end()

    def whole(self) -> Test:
        test = self._either()
        if self._at != len(self._tokens):
            raise _wrong(self._text)
        return test

    def _either(self) -> Test:
        tests = [self._both()]
        while self._take("join", "||"):
            tests.append(self._both())
        return tests[0] if len(tests) == 1 else lambda document: any(test(document) for test in tests)

    def _both(self) -> Test:
        tests = [self._one()]
        while self._take("join", "&&"):
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda document: all(test(document) for test in tests)

    def _one(self) -> Test:
        if not self._take("join", "("):
            return self._comparison()
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _wrong(self._text)
        test = self._either()
        if not self._take("join", ")"):
            raise _wrong(self._text)
        self._depth -= 1
        return test

    def _comparison(self) -> Test:
        path, sign = self._next("path"), self._next("compare")
        if sign in _STATES:
            state = _STATES[sign]
            return lambda document: state(_at(document, path))
        quoted = self._peek() == "string"
        value = self._next("string" if quoted else "word")
        if quoted:
            value = re.sub(r"\\(.)", r"\1", value)
        return _compared(path, sign, value, None if quoted else _number(value), self._text)

    def _peek(self) -> str:
        return str(self._tokens[self._at][0]) if self._at < len(self._tokens) else ""

    def _take(self, kind: str, text: str) -> bool:
        found = self._at < len(self._tokens) and self._tokens[self._at] == (kind, text)
        self._at += found
        return found

    def _next(self, kind: str) -> str:
        if self._peek() != kind:
            raise _wrong(self._text)
        self._at += 1
        return str(self._tokens[self._at - 1][1])


_STATES: dict[str, Test] = {
    "NOT EXISTS": lambda found: found is _ABSENT,
    "IS NULL": lambda found: found is None,
    "IS TRUE": lambda found: found is True,
    "IS FALSE": lambda found: found is False,
}


def _compared(path: str, sign: str, value: str, number: float | None, text: str) -> Test:
    if sign in ("=", "!="):
        equal = _equal(value, number)
        if sign == "=":
            return lambda document: equal(_at(document, path))
        return lambda document: (found := _at(document, path)) is not _ABSENT and not equal(found)
    if number is None:
        raise _wrong(text)
    limit = number
    order: Callable[[float], bool] = {
        "<": lambda found: found < limit,
        "<=": lambda found: found <= limit,
        ">": lambda found: found > limit,
        ">=": lambda found: found >= limit,
    }[sign]
    return lambda document: _is_number(found := _at(document, path)) and order(found)


def _equal(value: str, number: float | None) -> Test:
    if number is not None:
        return lambda found: _is_number(found) and found == number
    if "*" not in value:
        return lambda found: isinstance(found, str) and found == value
    # Only the star is special; over runs of stars the match would take long.
    glob = re.sub(r"\*+", "*", value).replace("[", "[[]").replace("?", "[?]")

    def like(found: Any) -> bool:
        if isinstance(found, bool) or not isinstance(found, str | int | float):
            return False
        return fnmatch.fnmatchcase(str(found), glob)

    return like


def _is_number(found: Any) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool)


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def _at(document: Any, path: str) -> Any:
    found = document
    for name, index, quoted in _STEP.findall(path):
        if index:
            if not isinstance(found, list) or int(index) >= len(found):
                return _ABSENT
            found = found[int(index)]
        elif not isinstance(found, dict) or (key := name or quoted) not in found:
            return _ABSENT
        else:
            found = found[key]
    return found


def _wrong(text: str) -> Exception:
    return invalid(f"Invalid filter pattern: {text}")
