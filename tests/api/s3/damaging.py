"""What a disk may do to a file."""

from __future__ import annotations

from pathlib import Path


def flip(file: Path, at: int) -> None:
    """One bit of the byte at `at`."""
    with file.open("r+b") as opened:
        opened.seek(at)
        byte = opened.read(1)
        opened.seek(at)
        opened.write(flipped(byte, 0))


def flipped(data: bytes, at: int) -> bytes:
    """These bytes, with one bit of the one at `at` changed."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
