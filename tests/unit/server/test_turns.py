"""Few threads run at once; one that is late does not keep the others from running."""

from __future__ import annotations

import threading
from collections.abc import Callable

from clary.server.turns import Turns

PATIENCE = 20.0


def begun(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_whoever_waits_for_something_else_lets_the_next_run() -> None:
    turns = Turns(1, 3)
    turns.start()
    running, go_on = threading.Semaphore(0), threading.Event()

    def work() -> None:
        turns.take()
        turns.begin()
        running.release()
        go_on.wait(PATIENCE)
        turns.end()

    threads = [begun(work) for _ in range(3)]
    for _ in threads:
        assert running.acquire(timeout=PATIENCE)
    go_on.set()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    turns.stop()


def test_a_turn_is_kept_until_there_are_too_many() -> None:
    turns = Turns(1, 2)
    turns.start()
    turns.take()
    turns.begin()
    assert turns.end()
    begin, end, kept = threading.Event(), threading.Event(), list[bool]()

    def other() -> None:
        turns.take()  # there is one once this thread's exchange is late
        turns.begin()
        begin.set()
        end.wait(PATIENCE)
        kept.append(turns.end())

    turns.begin()
    thread = begun(other)
    assert begin.wait(PATIENCE)
    end.set()
    thread.join(PATIENCE)
    mine = turns.end()
    assert (kept, mine) in (([True], False), ([False], True))
    turns.stop()


def test_the_end_wakes_those_who_wait() -> None:
    turns = Turns(1, 2)
    turns.start()
    turns.take()
    thread = begun(turns.take)
    turns.stop()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_whoever_says_that_it_waits_lets_the_next_run_at_once() -> None:
    """Nobody watches here: what is said is enough. As many as are waited for go on without a turn of their own."""
    turns = Turns(1, 3)
    running, over = threading.Semaphore(0), threading.Event()
    kept: list[bool] = []

    def work() -> None:
        turns.take()
        turns.begin()
        running.release()
        with turns.waiting():
            over.wait(PATIENCE)
        kept.append(turns.end())

    threads = [begun(work) for _ in range(3)]
    for _ in threads:
        assert running.acquire(timeout=PATIENCE)
    over.set()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert sorted(kept) == [False, False, True]


def test_one_without_an_exchange_has_no_turn_to_give() -> None:
    turns = Turns(1, 2)
    turns.take()
    with turns.waiting():
        assert not turns._free.acquire(blocking=False)
