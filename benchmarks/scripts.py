"""What a script of one's own takes as a training job, against the script run by hand; and building its environment.

python benchmarks/scripts.py [--rounds N] [--keep]
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from jobs import table
from measure.report import Bar, Report, arguments
from measure.rounds import take_turns
from measure.servers import Clary, clary
from measure.training import ended, image_python, printed, train

ABOUT = """A script for the scikit-learn image: it reads the table of the small jobs, fits a logistic regression and
saves it. *Whole*: from calling CreateTrainingJob to the commit that makes the job Completed, its code and data fetched
from S3 before and its model in S3 after; of that, what was *before it* began to be run and *after it* had ended. By
hand: the same file by the environment's own Python, with the variables that it reads. *Build*: `clary images build
scikit-learn`, its packages all in the installer's cache; into a folder that was never used, and where such an
environment was built before and removed (3 rounds)."""
WHERE = """Before it: about 15 ms for the launch and its commits, 10 to fork and start the agent, then its code and data
(three requests of S3, 30 ms) beside the making of its sandbox (as long), and 5 from the gate to the start of its
interpreter. After it: the archive and its durable upload 6 ms, the exit record and the job's ending, one commit each,
8 ms. In between it runs as by hand, but for what the rest of the server takes of the cores. A `requirements.txt` in the
code has the sandbox made anew: it decides what that shows. Building is copying 600 MB of packages and, the first time
that a machine has them, compiling 2,500 sources, without the tests that packages bring: 8 s of one core."""
SCRIPT = Path(__file__).parent / "peers" / "own_script.py"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
ENVIRONMENT = "scikit-learn"
BUILDS = 3  # rounds at most: they take long, and vary little
FIRST, AGAIN = "the environment, first", "the environment, again"


def archive() -> bytes:
    """sourcedir.tar.gz, as the SDK's estimators make it of an entry point."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as target:
        target.add(SCRIPT, arcname=SCRIPT.name)
    return packed.getvalue()


class Scripts:
    """Training jobs of one server, each with the same script and data."""

    def __init__(self, server: Clary, data: bytes) -> None:
        self._sagemaker, self._logs, self._s3 = (server.client(each) for each in ("sagemaker", "logs", "s3"))
        self._s3.create_bucket(Bucket="own")
        self._s3.put_object(Bucket="own", Key="train/census.csv", Body=data)
        self._s3.put_object(Bucket="own", Key="code/sourcedir.tar.gz", Body=archive())
        code = {
            "sagemaker_program": SCRIPT.name,
            "sagemaker_submit_directory": "s3://own/code/sourcedir.tar.gz",
            "max-iter": 200,
        }
        self._settings = {name: json.dumps(value) for name, value in code.items()}

    def one(self) -> dict[str, float]:
        """Raises RuntimeError when the job does not complete or leaves no model."""
        name, begin, _ = train(self._sagemaker, "s3://own/train/", "s3://own/output", self._settings, image=IMAGE)
        job = ended(self._sagemaker, name)
        if job["TrainingJobStatus"] != "Completed":
            raise RuntimeError(f"{name} is {job['TrainingJobStatus']}: {job.get('FailureReason')}")
        self._s3.head_object(Bucket="own", Key=f"output/{name}/output/model.tar.gz")
        end = job["LastModifiedTime"].timestamp()
        return {
            "whole ms": (end - begin) * 1e3,
            "before it ms": (printed(self._logs, name, "Invoking user script") - begin) * 1e3,
            "after it ms": (end - printed(self._logs, name, "Reporting training SUCCESS")) * 1e3,
        }


def by_hand(python: Path, folder: Path) -> Callable[[], dict[str, float]]:
    environment = os.environ | {"SM_CHANNEL_TRAIN": str(folder), "SM_MODEL_DIR": str(folder)}

    def run() -> dict[str, float]:
        begin = time.monotonic()
        command = [python, SCRIPT, "--max-iter", "200"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
        taken = time.monotonic() - begin
        (folder / "model.joblib").unlink()
        return {"whole ms": taken * 1e3}

    return run


def building(home: Path, *, first: bool) -> dict[str, float]:
    """Raises CalledProcessError."""
    shutil.rmtree(home if first else home / "environments", ignore_errors=True)
    where = {"CLARY_HOME": f"{home}-server", "CLARY_IMAGES_HOME": str(home)}
    command = [sys.executable, "-m", "clary.cli", "images", "build", ENVIRONMENT]
    os.sync()  # what the one before has still to write is not this one's
    begin = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | where)
    return {"build s": time.monotonic() - begin}


def main() -> None:
    options = arguments(ABOUT, rounds=15)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # without byte code every import compiles everything
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="clary-bench-")))
        (folder / "census.csv").write_bytes(table())
        server = stack.enter_context(clary())
        scripts = Scripts(server, (folder / "census.csv").read_bytes())
        scripts.one()
        figures = take_turns({"Clary": scripts.one, "by hand": by_hand(image_python(server), folder)}, options.rounds)
        # Apart: what they leave the disk to write would fall on the next job.
        builds = {each: partial(building, folder / "images", first=each == FIRST) for each in (FIRST, AGAIN)}
        figures |= take_turns(builds, min(options.rounds, BUILDS))
    report = Report("scripts", "Scripts of one's own", ABOUT, options.rounds, figures, where=WHERE)
    more = figures["Clary"]["whole ms"].median - figures["by hand"]["whole ms"].median
    report.bars = [
        Bar("job with a script, beyond the script by hand", more, 100, "ms"),
        Bar("environment built, all that it needs in caches", figures[AGAIN]["build s"].median, 5, "s"),
    ]
    report.finish(options.keep)


if __name__ == "__main__":
    main()
