"""How long a server takes from the command to its first answer: a fresh home, then the same home again.

python benchmarks/start.py [--rounds N] [--keep]
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure.report import Bar, Report, arguments
from measure.rounds import take_turns

CLARY = [sys.executable, "-m", "clary.cli"]
ABOUT = """From the command `clary up` to the first request that was answered through the port. The floor is what
Python takes to import the control plane, in a process of its own."""


def up_and_down(home: Path) -> float:
    """Seconds from the command to the first request that was answered through the port."""
    answer = subprocess.run(
        [*CLARY, "up", "--home", home, "--port", "0", "--detach", "--json"], check=True, capture_output=True
    )
    subprocess.run([*CLARY, "down", "--home", home], check=True, capture_output=True)
    return float(json.loads(answer.stdout)["seconds"])


def homes() -> dict[str, float]:
    home = Path(tempfile.mkdtemp(prefix="clary-bench-"))
    try:
        return {"fresh home s": up_and_down(home), "existing home s": up_and_down(home)}
    finally:
        shutil.rmtree(home)


def floor() -> dict[str, float]:
    begin = time.monotonic()
    subprocess.run([sys.executable, "-c", "import clary.app"], check=True)
    taken = time.monotonic() - begin
    return {"fresh home s": taken, "existing home s": taken}


def main() -> None:
    options = arguments(ABOUT, rounds=9)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    figures = take_turns({"clary up": homes, "floor: import clary.app": floor}, options.rounds)
    report = Report("start", "Start", ABOUT, options.rounds, figures)
    ours = figures["clary up"]
    report.bars = [
        Bar("fresh home to first answer", ours["fresh home s"].median, 1.5, "s"),
        Bar("existing home to first answer", ours["existing home s"].median, 1.0, "s"),
    ]
    report.finish(options.keep)


if __name__ == "__main__":
    main()
