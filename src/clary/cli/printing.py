"""Answers for people and, with --json, for programs."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from typing import Any


def answer(as_json: bool, facts: dict[str, Any], words: str) -> None:
    """One answer on stdout: `facts` as one line of JSON, or `words`."""
    print(json.dumps(facts, default=str) if as_json else words, flush=True)


def note(text: str) -> None:
    """Something to know besides the answer, on stderr."""
    print(f"clary: {text}", file=sys.stderr, flush=True)


def folded(text: str, head: str) -> str:
    """`head` and `text`, with further lines under the beginning of the text where the terminal is narrow."""
    width = max(len(head) + 30, shutil.get_terminal_size((100, 24)).columns)
    return textwrap.fill(
        text,
        width,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )
