"""The regular expressions of service models, which are Java's, as Python's."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable

_POSIX: dict[str, Callable[[str], bool]] = {
    "ASCII": str.isascii,
    "Alnum": lambda char: char.isascii() and char.isalnum(),
    "Alpha": lambda char: char.isascii() and char.isalpha(),
    "Digit": lambda char: char.isascii() and char.isdigit(),
    "Graph": lambda char: "!" <= char <= "~",
    "Print": lambda char: " " <= char <= "~",
    "Space": lambda char: char in " \t\n\v\f\r",
    "Punct": lambda char: "!" <= char <= "~" and not char.isalnum(),
}
# Patterns whose nested repeats can take exponential time, and a linear one of the same language for each.
_EQUIVALENT = {
    r".*(?:[ \r\n\t].*)*": r"[\s\S]*",
    r".*(?:[ \r\n\t].*)*.*": r"[\s\S]*",
    r"https://([.\-_a-zA-Z0-9]+/?){3,1016}": (
        r"https://(?=(?:[.\-_a-zA-Z0-9]/?){3})[.\-_a-zA-Z0-9]+(?:/[.\-_a-zA-Z0-9]+)*/?"
    ),
    r"[a-z0-9]([-a-z0-9]*[a-z0-9]){0,39}?": r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?",
    r"^[a-z0-9*](?:[._\-/a-z0-9*]?[a-z0-9*]+)*$": r"[a-z0-9*]+(?:[._\-/][a-z0-9*]+)*",
    r"^[ \t]*[\x20-\x7E]+([ \t]+[\x20-\x7E]+)*[ \t]*$": r"\t*[\x20-\x7E][\t\x20-\x7E]*",
    r"^[ \t]*[^\x00-\x1F:\x7F]+([ \t]+[^\x00-\x1F:\x7F]+)*[ \t]*$": (
        r"\t*[^\x00-\x1F:\x7F][^\x00-\x08\x0A-\x1F:\x7F]*"
    ),
}
_PROPERTY = re.compile(r"\\([pP])(?:\{(\w+)\}|(\w))")
_SURROGATES = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_REPEATED_ANCHOR = re.compile(r"(?<!\\)\$\{\d+,\d*\}")
_CLASS_BEFORE_DASH = re.compile(r"(?<!\\)(\\[wdsWDS])-(?=[^\]])")
_ASCII = "".join(map(chr, range(128)))


def matches(pattern: str, text: str) -> bool:
    """Whether all of `text` is in the pattern's language. A pattern that Python cannot express accepts everything."""
    extra = ""
    if not text.isascii() and (r"\p" in pattern or r"\P" in pattern):
        # A property class has thousands of ranges; only the characters that can be met here matter.
        extra = "".join(sorted(set(text).difference(_ASCII)))
    compiled = _compile(pattern, extra)
    return compiled is None or compiled.fullmatch(text) is not None


@functools.lru_cache(maxsize=4096)
def _compile(pattern: str, extra: str) -> re.Pattern[str] | None:
    try:
        return re.compile(translate(pattern, extra), re.ASCII)
    except (re.error, OverflowError):
        return None


def translate(pattern: str, extra: str = "") -> str:
    """Python's form of a Java pattern, for texts of ASCII and the characters `extra`. Raises re.error."""
    text = _EQUIVALENT.get(pattern, pattern)
    text = _REPEATED_ANCHOR.sub("$", text)
    text = _SURROGATES.sub(_one_character, text)
    text = _CLASS_BEFORE_DASH.sub(r"\1\\-", text)
    text = text.replace(r"\z", r"\Z")
    return _properties(text, _ASCII + extra)


def _one_character(found: re.Match[str]) -> str:
    high, low = int(found[1], 16), int(found[2], 16)
    return f"\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08x}"


def _properties(text: str, alphabet: str) -> str:
    """Replaces \\p{...} and \\P{...} by ranges, within brackets or by themselves."""
    pieces, at, inside = [], 0, False
    while at < len(text):
        found = _PROPERTY.match(text, at)
        if found:
            ranges = _ranges(found[2] or found[3], found[1] == "P", alphabet)
            pieces.append(ranges if inside else f"[{ranges}]")
            at = found.end()
            continue
        step = 2 if text[at] == "\\" else 1
        if step == 1 and text[at] in "[]":
            inside = text[at] == "["
        pieces.append(text[at : at + step])
        at += step
    return "".join(pieces)


def _ranges(name: str, negated: bool, alphabet: str) -> str:
    """The alphabet's characters that have a property, as the inside of a bracket expression."""
    within = _POSIX.get(name)
    if within is None and (len(name) > 2 or name[:1] not in "CLMNPSZ"):
        raise re.error(f"unknown property {name}")
    runs: list[list[int]] = []
    for char in alphabet:
        has = within(char) if within else unicodedata.category(char).startswith(name)
        if has != negated:
            if runs and runs[-1][1] == ord(char) - 1:
                runs[-1][1] = ord(char)
            else:
                runs.append([ord(char), ord(char)])
    # An empty class cannot be written; a character that no text here holds stands in for it.
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in runs) or r"\U0010ffff"
