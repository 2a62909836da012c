"""A benchmark's outcome: printed for whoever ran it, kept in benchmarks/results for the page that is made of them."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from measure.rounds import Spread

RESULTS = Path(__file__).parents[1] / "results"


@dataclass(frozen=True)
class Bar:
    """One goal: `value` against `limit`, reached when at most (or, `least`, at least) that."""

    what: str
    value: float
    limit: float
    unit: str = "x"
    least: bool = False

    @property
    def met(self) -> bool:
        return self.value >= self.limit if self.least else self.value <= self.limit

    def line(self) -> str:
        sign = ">=" if self.least else "<="
        return (
            f"{'met   ' if self.met else 'MISSED'}  {self.what}: {self.value:.3g} {self.unit} ({sign} {self.limit:g})"
        )


@dataclass
class Report:
    """title: of the section on the page. about: what is measured and how, Markdown. figures: contender -> figure with
    its unit ("p50 us") -> spread. where: where the time goes and, for a bar that is missed, why and what would reach
    it, Markdown."""

    name: str
    title: str
    about: str
    rounds: int
    figures: Mapping[str, Mapping[str, Spread]]
    bars: list[Bar] = field(default_factory=list)
    where: str = ""

    def ratio(self, figure: str, ours: str, theirs: str) -> float:
        return self.figures[ours][figure].median / self.figures[theirs][figure].median

    def show(self) -> None:
        print(f"{self.title}: {self.rounds} rounds, medians (least to most)")
        width = max(len(name) for name in self.figures)
        for name, each in self.figures.items():
            shown = "   ".join(
                f"{figure} {_number(s.median)} ({_number(s.least)} to {_number(s.most)})" for figure, s in each.items()
            )
            print(f"  {name:<{width}}  {shown}")
        for bar in self.bars:
            print(f"  {bar.line()}")

    def keep(self) -> None:
        """Writes the result that the page is made of."""
        RESULTS.mkdir(exist_ok=True)
        kept = asdict(self) | {"machine": _machine(), "day": time.strftime("%Y-%m-%d")}
        (RESULTS / f"{self.name}.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")

    def finish(self, keep: bool) -> None:
        self.show()
        if keep:
            self.keep()


def arguments(
    about: str, rounds: int, more: Callable[[argparse.ArgumentParser], Any] | None = None
) -> argparse.Namespace:
    """--rounds N and --keep, which every benchmark has, and what `more` adds. From here on an end asked for by a signal
    leaves no server behind."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    parser = argparse.ArgumentParser(description=about.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results, then: python benchmarks/page.py")
    if more is not None:
        more(parser)
    return parser.parse_args()


def _leave(number: int, _: Any) -> None:
    sys.exit(128 + number)


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _machine() -> str:
    model = next(
        (line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")), platform.machine()
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    kernel = platform.release().partition("-")[0]
    return f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB, Linux {kernel}, Python {platform.python_version()}"


def _cpuinfo() -> list[str]:
    return Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
