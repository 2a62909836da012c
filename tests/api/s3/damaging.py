"""What a disk may do to a file."""

from __future__ import annotations

from pathlib import Path


def flip(file: Path, at: int) -> None:
    """One bit of the byte at `at`."""
    with file.open("r+b") as opened:
        opened.seek(at)
        byte = opened.read(1)[0]
        opened.seek(at)
        opened.write(bytes([byte ^ 1]))
