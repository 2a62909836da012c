"""How long a small training job takes, from Create to its first line and to Completed, against its script run by hand.

python benchmarks/jobs.py [--rounds N] [--keep]
"""

from __future__ import annotations

import os
import random
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from measure.report import Bar, Report, arguments
from measure.rounds import take_turns
from measure.servers import Clary, clary
from measure.training import ended, image_python, printed, train

ABOUT = """A census-like table (4,000 rows, 12 features, CSV in S3), 100 rounds of XGBoost at depth 5. *First line*:
from the answer to CreateTrainingJob to the moment the job printed its first log line, its channel staged before;
*whole*: from calling Create to the commit that makes the job Completed, its model in S3. By hand: a cold Python that
reads the same file, trains with the same parameters and saves the model; once with what people have installed (XGBoost
beside pandas and scikit-learn, which it imports when they are there), once with the image's own libraries. The fork
server is warm; every job has a name, a folder and an S3 prefix of its own."""
WHERE = """The first line: about 10 ms for the slot, the launch and their two commits, 6 to 8 ms to fork the agent, then
the sandbox (30 to 35 ms: three forks of a process with the libraries loaded, mounts; cgroups of version 1 are joined as
the one thread that it is, in under 1 ms where a process takes 13) beside the claim, the listing and the download (20 to
25 ms), 5 ms from the gate to the line. Most of what is left is the kernel's. After the last round: the archive 10 ms
(gzip), its durable upload 6 to 10 ms, the exit record and the job's ending, one commit each, 10 ms. By hand nine tenths
are imports."""
SCRIPT = Path(__file__).parent / "peers" / "script.py"
HAND = Path(__file__).parents[1] / ".venvs" / "peers-script" / "bin" / "python"
ROWS, FEATURES = 4_000, 12
SETTINGS = {"num_round": "100", "max_depth": "5", "eta": "0.2", "objective": "binary:logistic"}


def table() -> bytes:
    """CSV, the label first; the same each time."""
    draw = random.Random(7)
    lines = []
    for _ in range(ROWS):
        row = [draw.randint(0, 99) for _ in range(FEATURES)]
        score = row[0] * 0.03 + row[1] * row[2] * 0.0004 - row[3] * 0.02 + draw.gauss(0, 1)
        lines.append(",".join(map(str, (int(score > 1), *row))))
    return "\n".join(lines).encode() + b"\n"


def by_hand(python: Path, data: Path) -> Callable[[], dict[str, float]]:
    def run() -> dict[str, float]:
        model = data.with_suffix(".ubj")
        begin = time.monotonic()
        subprocess.run([python, SCRIPT, data, model], check=True, stdout=subprocess.DEVNULL)
        taken = time.monotonic() - begin
        model.unlink()
        return {"whole s": taken}

    return run


def importing(python: Path) -> dict[str, float]:
    begin = time.monotonic()
    subprocess.run([python, "-c", "import xgboost"], check=True)
    return {"first line ms": (time.monotonic() - begin) * 1e3}


class Jobs:
    """Training jobs of one server, each with the same data."""

    def __init__(self, server: Clary, data: bytes) -> None:
        self._sagemaker, self._logs, self._s3 = (server.client(each) for each in ("sagemaker", "logs", "s3"))
        self._s3.create_bucket(Bucket="census")
        self._s3.put_object(Bucket="census", Key="train/census.csv", Body=data)

    def one(self) -> dict[str, float]:
        """Raises RuntimeError when the job does not complete or leaves no model."""
        name, begin, answered = train(self._sagemaker, "s3://census/train/", "s3://census/output", SETTINGS)
        job = ended(self._sagemaker, name)
        if job["TrainingJobStatus"] != "Completed":
            raise RuntimeError(f"{name} is {job['TrainingJobStatus']}: {job.get('FailureReason')}")
        self._s3.head_object(Bucket="census", Key=f"output/{name}/output/model.tar.gz")
        return {
            "first line ms": (printed(self._logs, name) - answered) * 1e3,
            "whole s": job["LastModifiedTime"].timestamp() - begin,
        }


def main() -> None:
    options = arguments(ABOUT, rounds=15)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # without byte code every import compiles everything
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="clary-bench-")))
        data = folder / "census.csv"
        data.write_bytes(table())
        shut_in, plain = (stack.enter_context(clary(isolation=each)) for each in ("auto", "plain"))
        contenders = {"Clary": Jobs(shut_in, data.read_bytes()).one, "Clary, plain": Jobs(plain, data.read_bytes()).one}
        contenders["Clary"]()
        own = image_python(shut_in)
        contenders["by hand, the image's libraries"] = by_hand(own, data)
        contenders["import xgboost, the same libraries"] = lambda: importing(own)
        if HAND.exists():
            contenders["by hand"] = by_hand(HAND, data)
        figures = take_turns(contenders, options.rounds)
    report = Report("jobs", "Small training jobs", ABOUT, options.rounds, figures, where=WHERE)
    first = {name: each["first line ms"].median for name, each in figures.items() if "first line ms" in each}
    report.bars = [Bar("job answered to first line", first["Clary"], 100, "ms")]
    allowed = first["import xgboost, the same libraries"] + 100
    report.bars.append(Bar("the same without namespaces: import + 100 ms", first["Clary, plain"], round(allowed), "ms"))
    if "by hand" in figures:
        ratio = report.ratio("whole s", "Clary", "by hand")
        report.bars.append(Bar("small job, Create to Completed, to its script by hand", ratio, 0.35))
    report.finish(options.keep)


if __name__ == "__main__":
    main()
