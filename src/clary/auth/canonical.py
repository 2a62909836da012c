"""The canonical form of a request that SigV4 signs. Text is latin-1, one character for each byte on the wire."""

from __future__ import annotations

import re
from collections.abc import Sequence

_PLAIN_PATH = re.compile(r"[A-Za-z0-9\-._~/]*", re.ASCII)
_PLAIN_QUERY = re.compile(r"[A-Za-z0-9\-._~&=]*", re.ASCII)
# Units that stand in the canonical form already: what is reserved in upper-case hex, all else as it is.
_UNITS = r"(?:[A-Za-z0-9\-._~]|%(?:[0189A-F][0-9A-F]|2[0-9A-CF]|3[A-F]|40|5[B-E]|60|7[B-DF]))*"
_CANONICAL_QUERY = re.compile(rf"{_UNITS}(?:={_UNITS})?(?:&{_UNITS}(?:={_UNITS})?)*", re.ASCII)
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ENCODED = tuple(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in range(256))
_UNIT = re.compile(r"%([0-9A-Fa-f]{2})|([^A-Za-z0-9\-._~])")
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9\-._~/]")
_BLANKS = re.compile(r"[ \t\r\n]+")


def reencoded(text: str, keep: str = "") -> str:
    """`text` with exactly the reserved bytes percent-encoded, in upper case, whatever way it came encoded.

    Escapes stay escapes ("%2F" does not become "/"); the characters of `keep` stay as they are.
    """

    def unit(match: re.Match[str]) -> str:
        escape, character = match.groups()
        if escape:
            return _ENCODED[int(escape, 16)]
        return character if character in keep else _ENCODED[ord(character)]

    return _UNIT.sub(unit, text)


def s3_path(path: str) -> str:
    """S3 signs the path as it stands: encoded once, never normalised."""
    if _PLAIN_PATH.fullmatch(path):
        return path or "/"
    return reencoded(path, keep="/")


def service_path(path: str, normalize: bool = True) -> str:
    """Other services sign the path with dot segments and empty segments removed, and encoded once more."""
    if normalize and ("//" in path or "/." in path):
        path = _without_dots(path)
    if _PLAIN_PATH.fullmatch(path):
        return path or "/"
    return _NOT_PLAIN.sub(lambda match: _ENCODED[ord(match[0])], path)


def _without_dots(path: str) -> str:
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    last = "/" if kept and path.endswith(("/", "/.", "/..")) else ""
    return f"/{'/'.join(kept)}{last}"


def query(text: str, without: Sequence[str] = ()) -> str:
    """The parameters sorted by encoded name and value; those named in `without` left out."""
    if not text:
        return ""
    split = [piece.partition("=") for piece in text.split("&") if piece]
    pairs = [(name, value) for name, _, value in split if name not in without]
    if not _PLAIN_QUERY.fullmatch(text) and not _CANONICAL_QUERY.fullmatch(text):
        pairs = [(_parameter(name), _parameter(value)) for name, value in pairs]
    pairs.sort()
    return "&".join([f"{name}={value}" for name, value in pairs])


def _parameter(text: str) -> str:
    return reencoded(text.replace("+", "%20")) if text else text


def headers(names: Sequence[str], values: Sequence[Sequence[str]]) -> str:
    """One line for each name: values trimmed, runs of blanks made one, those of a repeated header joined by commas."""
    return "".join([f"{name}:{_value(given)}\n" for name, given in zip(names, values, strict=True)])


def _value(values: Sequence[str]) -> str:
    if len(values) == 1 and " " not in values[0] and values[0].isprintable():
        return values[0]  # nothing to trim
    return ",".join([_trimmed(each) for each in values])


def _trimmed(value: str) -> str:
    # str.split() would also split at U+0085 and U+00A0, which are bytes of UTF-8 sequences here.
    if "  " in value or "\t" in value or "\n" in value:
        value = _BLANKS.sub(" ", value)
    return value.strip(" \r")
