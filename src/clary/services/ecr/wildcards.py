"""Tags by patterns in which `*` stands for any text."""

from __future__ import annotations


def matches(pattern: str, text: str) -> bool:
    """In time of their lengths: what stands between two wildcards is looked for once, from the left."""
    first, *middle = pattern.split("*")
    if not middle:
        return text == pattern
    last, at = middle.pop(), len(first)
    if not text.startswith(first):
        return False
    for piece in middle:
        found = text.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return len(text) - at >= len(last) and text.endswith(last)
