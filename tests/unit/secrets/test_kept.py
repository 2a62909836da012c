"""Data keys in memory: one for a while, and not too many."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from clary.secrets import DataKey, KeptDataKeys


def made(numbers: itertools.count[int]) -> DataKey:
    number = next(numbers).to_bytes(4, "big")
    return DataKey(b"plain" + number, b"sealed" + number)


def test_a_key_is_given_out_until_its_time_is_over() -> None:
    kept, numbers = KeptDataKeys(seconds=10), itertools.count()
    keys = [kept.get("name", now, lambda: made(numbers)) for now in (100.0, 105.0, 109.9, 110.0, 119.0)]
    assert keys[0] == keys[1] == keys[2] != keys[3] == keys[4]
    assert kept.get("another", 119.0, lambda: made(numbers)) not in keys


def test_the_one_that_was_asked_for_longest_ago_is_dropped() -> None:
    kept, numbers = KeptDataKeys(most=2), itertools.count()
    first, second = (kept.get(name, 0.0, lambda: made(numbers)) for name in "ab")
    assert kept.get("a", 0.0, lambda: made(numbers)) == first
    kept.get("c", 0.0, lambda: made(numbers))
    assert kept.get("a", 0.0, lambda: made(numbers)) == first
    assert kept.get("b", 0.0, lambda: made(numbers)) != second


def test_what_cannot_be_made_is_not_kept() -> None:
    kept, numbers = KeptDataKeys(), itertools.count()

    def fail() -> DataKey:
        raise PermissionError

    with pytest.raises(PermissionError):
        kept.get("name", 0.0, fail)
    assert kept.get("name", 0.0, lambda: made(numbers)).plaintext == b"plain" + bytes(4)


def test_threads_that_come_at_once_are_given_one() -> None:
    kept, numbers, together = KeptDataKeys(), itertools.count(), threading.Barrier(8)

    def ask(_: int) -> DataKey:
        def make() -> DataKey:
            together.wait(10)  # all of them are making one
            return made(numbers)

        return kept.get("name", 0.0, make)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1


def test_it_is_not_told_by_accident() -> None:
    assert "plain" not in repr(DataKey(b"plain", b"sealed"))
