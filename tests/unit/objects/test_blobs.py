"""Blobs' files: what is written comes back from every place, nothing else does; and what is remembered of them."""

from __future__ import annotations

import itertools
import os
import time
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clary.objects import seen
from clary.objects.blobs import AT_ONCE, BLOCK, BlobFile, Checksums, size_of
from clary.objects.damage import Damage, Damaged, DamageList
from clary.objects.seen import Seen, generation
from thorough import examples

NAME = "0123456789abcdef" * 2 + "c"
SIZES = st.sampled_from([0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, AT_ONCE, AT_ONCE + 1, 9 * BLOCK + 77])


def written(folder: Path, data: bytes, cuts: list[int] | None = None, name: str = NAME) -> Path:
    checksums, edges = Checksums(name), [0, *sorted(cuts or []), len(data)]
    for begin, end in itertools.pairwise(edges):
        checksums.update(data[begin:end])
    size, behind = checksums.finish()
    assert size == len(data)
    file = folder / name
    file.write_bytes(data + behind)
    return file


def whole(file: Path, at: int = 0, end: int | None = None) -> bytes:
    with closing(BlobFile(str(file))) as opened:
        end, data = opened.size if end is None else end, b""
        while at + len(data) < end:
            data += opened.read(at + len(data), end - at - len(data))
        return data


@settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
@given(size=SIZES, cut=st.data())
def test_every_range_comes_back(tmp_path: Path, size: int, cut: st.DataObject) -> None:
    data = os.urandom(size)
    file = written(tmp_path, data, cut.draw(st.lists(st.integers(0, size), max_size=5)))
    assert size_of(NAME, file.stat().st_size) == size
    first, last = sorted(cut.draw(st.tuples(st.integers(0, size), st.integers(0, size))))
    assert whole(file, first, last) == data[first:last]


@settings(max_examples=examples(100), deadline=None, suppress_health_check=list(HealthCheck))
@given(size=SIZES, cut=st.data())
def test_no_other_file_is_taken_for_it(tmp_path: Path, size: int, cut: st.DataObject) -> None:
    """Cut anywhere, lengthened, or one byte changed anywhere."""
    file = written(tmp_path, os.urandom(size))
    stored = bytearray(file.read_bytes())
    place = cut.draw(st.integers(0, len(stored) - 1))
    match cut.draw(st.sampled_from(["cut", "longer", "changed"])):
        case "cut":
            del stored[place:]
        case "longer":
            stored += os.urandom(place + 1)
        case "changed":
            stored[place] ^= cut.draw(st.integers(1, 255))
    file.write_bytes(stored)
    with pytest.raises(Damaged):
        whole(file)


def test_another_name_or_place_does_not_fit(tmp_path: Path) -> None:
    data = os.urandom(3 * BLOCK)
    file = written(tmp_path, data)
    other = file.with_name("f" * 32 + "c")
    other.write_bytes(file.read_bytes())
    with pytest.raises(Damaged):
        whole(other)
    stored = file.read_bytes()
    file.write_bytes(stored[BLOCK : 2 * BLOCK] + stored[:BLOCK] + stored[2 * BLOCK :])
    assert whole(file, 2 * BLOCK) == data[2 * BLOCK :]
    with pytest.raises(Damaged):
        whole(file, 0, 1)


@pytest.mark.parametrize("name", ["0" * 32, "c" * 32])
def test_files_of_an_earlier_release_are_the_bytes_alone(tmp_path: Path, name: str) -> None:
    data = os.urandom(AT_ONCE + 5)
    (tmp_path / name).write_bytes(data)
    assert whole(tmp_path / name) == data
    assert whole(tmp_path / name, AT_ONCE) == data[AT_ONCE:]
    assert size_of(name, len(data)) == len(data)


def test_more_than_there_is_is_damage(tmp_path: Path) -> None:
    with closing(BlobFile(str(written(tmp_path, b"abc")))) as file:
        for ask in (file.read, file.verify):
            with pytest.raises(Damaged, match="3 bytes"):
                ask(1, 3)


def settled(file: Path) -> None:
    """So long unchanged that a further change would show."""
    deadline = time.time_ns() + 10**10
    while time.time_ns() - file.stat().st_ctime_ns < 2 * seen._SETTLED_NS:
        assert time.time_ns() < deadline


def test_what_is_remembered_holds_as_long_as_the_file_stays(tmp_path: Path) -> None:
    now = [0.0]
    memory = Seen(lambda: now[0])
    data = os.urandom(9 * BLOCK)
    path = written(tmp_path, data)
    settled(path)
    with closing(BlobFile(str(path), memory)) as file:
        assert file.verify(10, 9 * BLOCK - 10) == AT_ONCE - 10
        assert file.verify(AT_ONCE, BLOCK) == BLOCK
        assert file.verify(10, 9 * BLOCK - 10) == AT_ONCE + BLOCK - 10
        now[0] = seen.SECONDS - 1
        assert memory.run(NAME, generation(str(path)), 0, 9) == 5
        now[0] = seen.SECONDS
        assert memory.run(NAME, generation(str(path)), 0, 9) == 0
        file.verify(0, 1)
        assert memory.run(NAME, generation(str(path)), 0, 9) == 1
        os.utime(path, ns=(0, 0))
        assert memory.run(NAME, generation(str(path)), 0, 9) == 0


def test_a_file_that_was_just_changed_is_not_remembered(tmp_path: Path) -> None:
    memory, path = Seen(), written(tmp_path, os.urandom(BLOCK))
    now = (*generation(str(path))[:-1], time.time_ns())
    memory.note(NAME, now, 0, 1)
    assert memory.run(NAME, now, 0, 1) == 0
    memory.trust(NAME, now, 0, 1)
    assert memory.run(NAME, now, 0, 1) == 1


def test_few_files_are_remembered() -> None:
    memory = Seen()
    for number in range(seen._MOST + 10):
        memory.trust(str(number), (number,), 0, 1)
    kept = [number for number in range(seen._MOST + 10) if memory.run(str(number), (number,), 0, 1)]
    assert kept == list(range(10, seen._MOST + 10))


def test_the_list_of_damages(tmp_path: Path) -> None:
    kept = DamageList(tmp_path / "damaged.jsonl")
    assert kept.every() == []
    first, again, second = Damage("s3://b/k", "cut", 1.0), Damage("s3://b/k", "gone", 2.0), Damage("s3://b/é", "x", 3.0)
    for each in (first, again, second):
        kept.add(each)
    assert kept.every() == [first, second]
    with (tmp_path / "damaged.jsonl").open("a") as file:
        file.write('{"what": "s3://b/c')  # a crash
    assert kept.every() == [first, second]
    kept.clear()
    kept.clear()
    assert kept.every() == []
