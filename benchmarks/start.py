"""How long a server takes from the command to its first answer: a fresh home, then the same home again.

    python benchmarks/start.py [--runs N]

The floor beside it is what Python itself takes to import the control plane, in a process of its own, in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CLARY = [sys.executable, "-m", "clary.cli"]


def up_and_down(home: Path) -> float:
    """Seconds from the command to the first request that was answered through the port."""
    answer = subprocess.run(
        [*CLARY, "up", "--home", home, "--port", "0", "--detach", "--json"], check=True, capture_output=True
    )
    subprocess.run([*CLARY, "down", "--home", home], check=True, capture_output=True)
    return float(json.loads(answer.stdout)["seconds"])


def floor() -> float:
    begin = time.monotonic()
    subprocess.run([sys.executable, "-c", "import clary.app"], check=True)
    return time.monotonic() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    figures: dict[str, list[float]] = {"fresh home": [], "existing home": [], "floor: import clary.app": []}
    for number in range(runs + 1):
        home = Path(tempfile.mkdtemp(prefix="clary-bench-"))
        try:
            taken = (up_and_down(home), up_and_down(home), floor())
        finally:
            shutil.rmtree(home)
        if number:  # the first writes byte code
            for values, seconds in zip(figures.values(), taken, strict=True):
                values.append(seconds)
    least = statistics.median(figures["floor: import clary.app"])
    print(f"{runs} runs; seconds: median (least to most), and the median as a multiple of the floor's")
    for name, values in figures.items():
        middle = statistics.median(values)
        print(f"  {name:<24} {middle:.2f} ({min(values):.2f} to {max(values):.2f})  {middle / least:.1f}")


if __name__ == "__main__":
    main()
