"""Encrypted objects: any size comes back from any place on, and any change is noticed."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.objects.damage import Damaged
from clary.objects.encryption import FRAME, HEAD, TAG, Encryptor, decrypted, encrypted_size
from thorough import examples

KEY, CONTEXT = bytes(range(32)), b"blob 1"
SIZES = [0, 1, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME, 3 * FRAME + 5]


def content(size: int) -> bytes:
    return (b"0123456789abcdef" * (size // 16 + 1))[:size]


def encrypted(plain: bytes, pieces: int = 100_000) -> bytes:
    encryptor = Encryptor(KEY, CONTEXT)
    parts = [encryptor.update(plain[at : at + pieces]) for at in range(0, len(plain), pieces)]
    return b"".join(parts) + encryptor.finish()


def opened(
    data: bytes, size: int, start: int = 0, end: int | None = None, key: bytes = KEY, context: bytes = CONTEXT
) -> bytes:
    return b"".join(decrypted(io.BytesIO(data), key, context, size, start, end))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pieces", [1000, FRAME, 1 << 20])
def test_what_is_written_is_read(size: int, pieces: int) -> None:
    data = encrypted(content(size), pieces)
    assert len(data) == encrypted_size(size)
    assert opened(data, size) == content(size)
    assert content(64) not in data


@settings(max_examples=examples(200))
@given(st.sampled_from(SIZES), st.data())
def test_every_range_is_read(size: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, size))
    end = data.draw(st.integers(start, size + 10))
    assert opened(encrypted(content(size)), size, start, end) == content(size)[start:end]


def test_a_range_reads_its_frames_alone() -> None:
    class Counting(io.BytesIO):
        read_bytes = 0

        def read(self, size: int | None = -1, /) -> bytes:
            found = super().read(size)
            self.read_bytes += len(found)
            return found

    source = Counting(encrypted(content(10 * FRAME)))
    start = 5 * FRAME + 10
    assert b"".join(decrypted(source, KEY, CONTEXT, 10 * FRAME, start, start + 10)) == content(10 * FRAME)[start:][:10]
    assert source.read_bytes == HEAD + FRAME + TAG


@settings(max_examples=examples(300))
@given(st.sampled_from([0, 1, FRAME, 2 * FRAME + 5]), st.data())
def test_one_changed_bit_is_noticed(size: int, data: st.DataObject) -> None:
    file = bytearray(encrypted(content(size)))
    bit = data.draw(st.integers(0, 8 * len(file) - 1))
    file[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Damaged):
        opened(bytes(file), size)


def frames(file: bytes) -> Iterator[bytes]:
    for at in range(HEAD, len(file), FRAME + TAG):
        yield file[at : at + FRAME + TAG]


def test_frames_cannot_be_cut_dropped_swapped_added_or_taken_from_another_file() -> None:
    size = 3 * FRAME + 5
    file, other = encrypted(content(size)), encrypted(content(size))
    head, (a, b, c, d) = file[:HEAD], list(frames(file))
    foreign = list(frames(other))[1]
    for changed in (
        head + a + b + c,
        head + a + b + d,
        head + b + c + d,
        head + b + a + c + d,
        head + a + a + c + d,
        head + a + b + c + d + d,
        head + a + foreign + c + d,
        head + a + b + c + d[:-1],
        file + b"x",
        file[: HEAD + 100],
        head,
        b"",
    ):
        with pytest.raises(Damaged):
            opened(changed, size)
    assert opened(file, size) == content(size)


@pytest.mark.parametrize("frames_kept", [0, 1, 2, 3])
def test_a_file_cut_at_a_frame_is_not_a_shorter_object(frames_kept: int) -> None:
    """Even for who is told the shorter size: only the last frame says that it is the last."""
    size = 3 * FRAME + 5
    file = encrypted(content(size))
    cut = file[: HEAD + frames_kept * (FRAME + TAG)]
    with pytest.raises(Damaged):
        opened(cut, frames_kept * FRAME)


def test_an_untouched_range_of_a_damaged_file_is_read() -> None:
    size = 3 * FRAME
    file = bytearray(encrypted(content(size)))
    file[HEAD + FRAME + TAG + 7] ^= 1  # in the second frame
    assert opened(bytes(file), size, 0, FRAME) == content(FRAME)
    assert opened(bytes(file), size, 2 * FRAME, size) == content(size)[2 * FRAME :]
    with pytest.raises(Damaged, match="frame 1 is not what was written"):
        opened(bytes(file), size, 0, FRAME + 1)


def test_another_key_context_or_size_opens_nothing() -> None:
    file = encrypted(content(100))
    for given_ in ({"key": bytes(32)}, {"context": b"blob 2"}, {"context": b""}):
        with pytest.raises(Damaged):
            opened(file, 100, **given_)  # type: ignore[arg-type] # of several types
    for size in (0, 99, 101, FRAME, FRAME + 100):
        with pytest.raises(Damaged):
            opened(file, size)


def test_every_file_has_nonces_of_its_own() -> None:
    assert encrypted(b"same") != encrypted(b"same")


def test_memory_does_not_grow_with_the_object() -> None:
    """In a process of its own: what is traced is what all threads allocate."""
    done = subprocess.run([sys.executable, "-c", ENCRYPT_MUCH], capture_output=True, text=True, check=True)
    total, peak = map(int, done.stdout.split())
    assert total == encrypted_size(64 << 20)
    assert peak < 8 << 20


ENCRYPT_MUCH = """
import os, tracemalloc
from clary.objects.encryption import Encryptor

piece = os.urandom(1 << 20)
tracemalloc.start()
encryptor = Encryptor(bytes(32), b"context")
total = sum(len(encryptor.update(piece)) for _ in range(64)) + len(encryptor.finish())
print(total, tracemalloc.get_traced_memory()[1])
"""
