"""What layers unpack to, against the programs and libraries that pack them."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import shutil
import subprocess
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.images.unpacked import CannotCount, Layer

RANDOM = os.urandom(300_000)
TEXT = b"a line of text, and another\n" * 40_000
SHAPES = [b"", b"abc", bytes(5_000_000), TEXT, RANDOM, RANDOM + bytes(200_000) + TEXT]
PACK: dict[str, Callable[[bytes], bytes]] = {
    "tar": bytes,
    "gzip": gzip.compress,
    "members": lambda data: gzip.compress(data[:7000]) + gzip.compress(data[7000:]),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


def counted(data: bytes, piece: int = 65_536) -> int:
    layer = Layer()
    for at in range(0, len(data), piece):
        layer.feed(data[at : at + piece])
    return layer.size


@pytest.mark.parametrize("kind", PACK)
@pytest.mark.parametrize("data", SHAPES, ids=range(len(SHAPES)))
def test_each_compression_is_counted_to_the_byte(kind: str, data: bytes) -> None:
    packed = PACK[kind](data)
    assert counted(packed) == counted(packed, 1_000_003) == len(data)
    assert counted(packed[:200], 1) <= len(data)


def zstd(data: bytes, *words: str) -> bytes:
    program = shutil.which("zstd")
    if program is None:
        pytest.skip("no zstd on this machine")
    return subprocess.run([program, "-q", "-c", *words], input=data, capture_output=True, check=True).stdout


@pytest.mark.parametrize("data", SHAPES, ids=range(len(SHAPES)))
@pytest.mark.parametrize("words", [(), ("--no-check",), ("-19",), ("--fast=9",)], ids=str)
def test_zstd_is_bounded_by_its_blocks(data: bytes, words: tuple[str, ...]) -> None:
    packed = zstd(data, *words)  # of a pipe: its frame does not say how long it is
    blocks = len(data) // (128 * 1024) + 1
    assert len(data) <= counted(packed) <= blocks * 128 * 1024
    assert counted(packed) == counted(packed, 7)
    stated = zstd(data, *words, f"--stream-size={len(data)}")
    assert counted(stated) == len(data)
    skippable = (0x184D2A53).to_bytes(4, "little") + (5).to_bytes(4, "little") + b"12345"
    assert counted(skippable + stated + skippable + stated, 3) == 2 * len(data)


def test_a_layer_of_very_many_parts_is_not_counted() -> None:
    nothing = (0).to_bytes(3, "little")
    with pytest.raises(CannotCount, match="parts"):
        counted((0xFD2FB528).to_bytes(4, "little") + b"\x00\x58" + nothing * 500_001)


def test_zstd_without_its_program() -> None:
    """Two frames by hand: a raw block and one of a repeated byte; and one that states its length."""
    magic = (0xFD2FB528).to_bytes(4, "little")
    raw = (5 << 3).to_bytes(3, "little") + b"abcde"
    repeated = (100_000 << 3 | 1 << 1 | 1).to_bytes(3, "little") + b"z"
    assert counted(magic + b"\x00\x58" + raw + repeated, 1) == 100_005
    compressed = (4 << 3 | 2 << 1 | 1).to_bytes(3, "little") + b"1234"
    assert counted(magic + b"\x04\x58" + compressed + b"sums", 2) == 128 * 1024
    assert counted(magic + b"\x60\x2c\x01" + compressed) == 0x12C + 256
    with pytest.raises(CannotCount, match="no known kind"):
        counted(magic + b"\x00\x58" + (3 << 1).to_bytes(3, "little"))


@given(st.sampled_from([b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", (0xFD2FB528).to_bytes(4, "little")]), st.binary())
def test_no_layer_raises_anything_else(head: bytes, rest: bytes) -> None:
    with contextlib.suppress(CannotCount):
        assert counted(head + rest, 16) >= 0
