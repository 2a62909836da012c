"""Makes docs/operate/performance.md from the kept results.

python benchmarks/page.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from measure.report import RESULTS, Bar

PAGE = Path(__file__).parents[1] / "docs" / "operate" / "performance.md"
_HEAD = """# Performance

Made by `python benchmarks/page.py` from the results that `python benchmarks/<name>.py --keep` leaves; do not edit.
Peers and floors take turns with Clary, round by round, in the same run on the same machine; figures are medians
(least to most). Absolute figures hold for the machine named; ratios carry over. How to run them: `make benchmarks`
makes the peers' environments; each benchmark says what else it needs.
"""


def main() -> None:
    results = [json.loads(each.read_text(encoding="utf-8")) for each in sorted(RESULTS.glob("*.json"))]
    PAGE.write_text("\n".join([_HEAD, _bars(results), *map(_section, results)]), encoding="utf-8")
    print(f"{PAGE}: {len(results)} benchmarks")


def _bars(results: list[dict[str, Any]]) -> str:
    lines = ["## Goals\n", "| | what | reached | goal | |", "|---|---|---:|---:|---|"]
    for result in results:
        for number, each in enumerate(result["bars"]):
            bar = Bar(**each)
            title = "" if number else result["title"]
            sign = "≥" if bar.least else "≤"
            met = "met" if bar.met else "**missed**"
            reached, goal = (f"{value} {_unit(bar.unit)}" for value in (f"{bar.value:.3g}", f"{sign} {bar.limit:g}"))
            lines.append(f"| {title} | {bar.what} | {reached} | {goal} | {met} |")
    return "\n".join(lines) + "\n"


def _section(result: dict[str, Any]) -> str:
    names = list(dict.fromkeys(figure for each in result["figures"].values() for figure in each))
    lines = [f"## {result['title']}\n", result["about"].strip() + "\n"]
    lines += [f"| | {' | '.join(names)} |", "|---|" + "---:|" * len(names)]
    for contender, figures in result["figures"].items():
        cells = [_spread(figures[name]) if name in figures else "" for name in names]
        lines.append(f"| {contender} | {' | '.join(cells)} |")
    lines.append("")
    if result["where"]:
        lines.append(result["where"].strip() + "\n")
    lines.append(
        f"`python benchmarks/{result['name']}.py`, {result['rounds']} rounds, {result['day']}; {result['machine']}.\n"
    )
    return "\n".join(lines)


def _spread(spread: dict[str, float]) -> str:
    return f"{_number(spread['median'])} ({_number(spread['least'])} to {_number(spread['most'])})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _unit(unit: str) -> str:
    return "\N{MULTIPLICATION SIGN}" if unit == "x" else unit


if __name__ == "__main__":
    main()
