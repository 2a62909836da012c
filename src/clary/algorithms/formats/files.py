"""The files of a channel."""

from __future__ import annotations

import os
from pathlib import Path

from clary.algorithms.errors import ClientError


def data_files(channel: Path) -> list[Path]:
    """All files of a channel folder with something in them, sub-folders included, in the order of their paths; raises
    ClientError for a hidden file. A channel may also be one file. A missing folder has no files."""
    if channel.is_file():
        return [channel] if channel.stat().st_size else []
    found: list[Path] = []
    for folder, _, names in os.walk(channel):
        for name in names:
            if name.startswith("."):
                raise ClientError("Hidden file found in the data path! Remove that before training.")
            path = Path(folder, name)
            if path.stat().st_size:
                found.append(path)
    return sorted(found)
