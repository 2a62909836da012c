"""Answers for people and, with --json, for programs."""

from __future__ import annotations

import json
import sys
from typing import Any


def answer(as_json: bool, facts: dict[str, Any], words: str) -> None:
    """One answer on stdout: `facts` as one line of JSON, or `words`."""
    print(json.dumps(facts, default=str) if as_json else words, flush=True)


def note(text: str) -> None:
    """Something to know besides the answer, on stderr."""
    print(f"clary: {text}", file=sys.stderr, flush=True)
