"""The few forms of Markdown that the pages use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def code(text: object) -> str:
    return f"`{text}`"


def codes(names: Iterable[object]) -> str:
    return ", ".join(map(code, names))


def folded(summary: str, text: str) -> str:
    """Text that opens on a click."""
    return f"<details><summary>{summary}</summary>\n\n{text}\n\n</details>\n"
