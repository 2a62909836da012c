"""Contenders take turns, round by round, so that what else the machine does falls on all of them alike."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Sample = Mapping[str, float]


@dataclass(frozen=True)
class Spread:
    """Of one figure over all rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


def take_turns(contenders: Mapping[str, Callable[[], Sample]], rounds: int) -> dict[str, dict[str, Spread]]:
    """contender -> figure -> spread. Each contender is called once a round; one round before them warms everything and
    is not counted. Every other round runs backwards, so that none always follows the same neighbour."""
    taken: dict[str, dict[str, list[float]]] = {name: {} for name in contenders}
    for number in range(rounds + 1):
        _progress(number, rounds)
        order = list(contenders) if number % 2 else list(reversed(contenders))
        for name in order:
            sample = contenders[name]()
            for figure, value in sample.items() if number else ():
                taken[name].setdefault(figure, []).append(value)
    return {name: {figure: Spread.of(values) for figure, values in each.items()} for name, each in taken.items()}


def _progress(number: int, rounds: int) -> None:
    if sys.stderr.isatty():
        print(f"\rround {number} of {rounds}", end="\n" if number == rounds else "", file=sys.stderr, flush=True)
