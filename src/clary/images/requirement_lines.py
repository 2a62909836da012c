"""The lines of a requirements.txt: which name a package and versions of it, which another file, which nothing.

The grammar is that of pip's files without addresses, files and options but `-r` and `--hash`. Every expression reads a
line once, whatever is in it: none of its repetitions gives back what it has taken.
"""

from __future__ import annotations

import re

LONGEST_LINE = 32_768  # characters; a few hundred hashes

_VERSION = r"[A-Za-z0-9.*+_-]++(?:![A-Za-z0-9.*+_-]++)?+"
_CLAUSE = rf"(?:===|[<>=!~]=|[<>])\s*+{_VERSION}\s*+"
_CLAUSES = rf"{_CLAUSE}(?:,\s*+{_CLAUSE})*+(?:,\s*+)?+"
_PACKAGE = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*+\s*+"
    r"(?:\[[A-Za-z0-9._,\s-]*+\]\s*+)?+"
    rf"(?:{_CLAUSES}|\(\s*+(?:{_CLAUSES})?+\)\s*+)?+"
)
_MARKER = re.compile(r"(?:[^@/$\x00-\x1f\s]|\s(?!-))*+")  # a word that begins with "-" would be an option
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_INCLUSION = re.compile(r"(?:-r|--requirement)[\s=]++(\S++)")
_COMMENT = re.compile(r"(?:^|\s)#")


def lines(text: str) -> list[str]:
    """Those of a file that say something, continued ones joined, without comments."""
    whole = text.replace("\r\n", "\n").replace("\\\n", " ").splitlines()
    return [line for line in (_COMMENT.split(each, maxsplit=1)[0].strip() for each in whole) if line]


def included(line: str) -> str:
    """The name of the file that the line includes; "" when it includes none."""
    found = _INCLUSION.fullmatch(line)
    return found[1] if found else ""


def is_package(line: str) -> bool:
    """Whether it is a package's name with, where given, extras, versions, a marker and hashes."""
    requirement, *hashes = re.split(r"\s--hash=", line)
    package, _, marker = requirement.partition(";")
    if not (_PACKAGE.fullmatch(package) and _MARKER.fullmatch(marker)):
        return False
    return all(_HASH.fullmatch(each.strip()) for each in hashes)
