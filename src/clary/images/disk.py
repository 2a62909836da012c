"""How much of the disk a folder takes."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def size(place: Path) -> int:
    """Bytes on disk. A file with several names counts once."""
    seen: dict[tuple[int, int], int] = {}
    for folder, _, names in os.walk(place):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # somebody removes it meanwhile
                found = os.lstat(f"{folder}/{name}")
                seen[found.st_dev, found.st_ino] = found.st_blocks * 512
    return sum(seen.values())
