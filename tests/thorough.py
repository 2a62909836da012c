"""How much of what is drawn at random a run tries."""

from __future__ import annotations

import os


def examples(count: int) -> int:
    """`count` in `make test-all` (THOROUGH=1), a third elsewhere: what a change breaks is found by few of them."""
    return count if os.environ.get("THOROUGH") else count // 3
