"""What a container takes as a training job, against the same container by the engine alone.

python benchmarks/containers.py [--rounds N] [--keep]
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from measure.report import Bar, Report, arguments
from measure.rounds import take_turns
from measure.servers import Clary, clary
from measure.training import ended, train

from clary.sandbox import engine
from clary.sandbox.confinement import id_range
from clary.sandbox.engine import Engine

ABOUT = """An image that is one static busybox, whose program reads a channel of one small file and writes a model.
*Whole*: from calling CreateTrainingJob to the commit that makes the job Completed, its data fetched from S3 before and
its model in S3 after. `podman run --rm`: the same image, program and data, with the same bounds of memory, processes
and files, user namespace and volumes, and no network; the data are there already, and the model stays where it is.
*Overhead* is what is left of each when the program's own time is taken away: that of the same busybox by hand. Each
begins when nothing is left of the container before it."""
WHERE = """The engine's own start, storage and runtime take two thirds of `podman run`, and are waited for here too. Its
last third is not: a job goes on when its container's first process has ended, whose status the engine's monitor notes
at once, and the container is deleted when the job's record is on its way. That pays for what a job is beside its
container: the slot, the agent, the data from S3 and the model to it, the commits. Making the container while the data
come in would need three calls of the engine in place of one, each with some 40 ms of its own: it pays off only for data
that take longer than that."""
PROGRAM = """#!/bin/sh
cat /opt/ml/input/data/train/* | wc -l > /opt/ml/model/rows
"""
FILE = """FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
COPY train /opt/program/
ENV PATH=/opt/program:/bin
"""
ROWS = b"1,2,3\n" * 1000
_BETWEEN = 0.05  # seconds between two looks
MEMORY = 8 << 30  # bytes, of ml.m5.large
FOLDERS = ("input/config", "input/data/train", "model", "output/data")


@contextmanager
def built(podman: Engine, folder: Path) -> Iterator[str]:
    """The name of the image in the engine. Raises EngineError."""
    busybox = shutil.which("busybox")
    if busybox is None:
        raise SystemExit("This needs a static busybox: apt-get install busybox-static")
    shutil.copy(busybox, folder / "busybox")
    (folder / "train").write_text(PROGRAM)
    (folder / "train").chmod(0o755)
    (folder / "Containerfile").write_text(FILE)
    name = f"localhost/clary-bench-{uuid.uuid4().hex[:8]}:1"
    podman.fetch("build", "--quiet", "--ulimit", "nofile=4096:4096", "--tag", name, str(folder))
    try:
        yield name
    finally:
        podman.ask("rmi", "--force", name)


class Jobs:
    """Training jobs of one server, each with the same image and data."""

    def __init__(self, server: Clary, image: str, settled: Callable[[], bool]) -> None:
        """settled: whether nothing is left of earlier containers."""
        self._settled = settled
        self._sagemaker, self._s3 = server.client("sagemaker"), server.client("s3")
        self._s3.create_bucket(Bucket="own")
        self._s3.put_object(Bucket="own", Key="train/rows.csv", Body=ROWS)
        self._image = image

    def one(self) -> dict[str, float]:
        """Raises RuntimeError when the job does not complete or leaves no model."""
        name, begin, _ = train(self._sagemaker, "s3://own/train/", "s3://own/output", {}, image=self._image)
        job = ended(self._sagemaker, name)
        if job["TrainingJobStatus"] != "Completed":
            raise RuntimeError(f"{name} is {job['TrainingJobStatus']}: {job.get('FailureReason')}")
        self._s3.head_object(Bucket="own", Key=f"output/{name}/output/model.tar.gz")
        while not self._settled():
            time.sleep(_BETWEEN)
        return {"whole ms": (job["LastModifiedTime"].timestamp() - begin) * 1e3}


def tree(folder: Path, owner: int) -> Path:
    """/opt/ml of a container whose root is this id."""
    for each in FOLDERS:
        (folder / each).mkdir(parents=True)
    (folder / "input/data/train/rows.csv").write_bytes(ROWS)
    for each in (folder, *folder.rglob("*")):
        os.chown(each, owner, owner)
    return folder


def bare(podman: Engine, image: str, folder: Path) -> Callable[[], dict[str, float]]:
    first, count = id_range("benchmark")
    base = tree(folder / "ml", first)
    (folder / "engine.conf").write_text("[containers]\ndefault_sysctls = []\n")
    environment = os.environ | {"CONTAINERS_CONF": str(folder / "engine.conf")}
    command = [
        *(*podman.command, "run", "--rm", "--pull", "never", "--network", "none", "--hostname", "algo-1"),
        *("--uidmap", f"0:{first}:{count}", "--gidmap", f"0:{first}:{count}", "--volume", f"{base}:/opt/ml"),
        *("--memory", str(MEMORY), "--pids-limit", "4096", *engine.limits(), "--security-opt", "no-new-privileges"),
        *(image, "train"),
    ]
    return timed(command, base / "model/rows", environment)


def by_hand(folder: Path) -> Callable[[], dict[str, float]]:
    """The program's own time: the same work by the same busybox."""
    base = tree(folder / "hand", 0)
    program = PROGRAM.replace("/opt/ml", str(base))
    return timed(["busybox", "sh", "-c", program], base / "model/rows", os.environ)


def timed(
    command: list[str], model: Path, environment: os._Environ[str] | dict[str, str]
) -> Callable[..., dict[str, float]]:
    def run() -> dict[str, float]:
        begin = time.monotonic()
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment)
        taken = time.monotonic() - begin
        model.unlink()
        return {"whole ms": taken * 1e3}

    return run


def main() -> None:
    options = arguments(ABOUT, rounds=21)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # without byte code every import compiles everything
    podman = engine.find()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="clary-bench-")))
        image = stack.enter_context(built(podman, folder))
        server = stack.enter_context(clary())
        contenders = {
            "Clary": Jobs(
                server, image, lambda: not podman.ask("ps", "--all", "--quiet", "--filter", f"ancestor={image}")
            ).one,
            "podman run": bare(podman, image, folder),
            "by hand": by_hand(folder),
        }
        figures = take_turns(contenders, options.rounds)
    report = Report("containers", "Containers", ABOUT, options.rounds, figures, where=WHERE)
    own = figures["by hand"]["whole ms"].median
    ours, theirs = (figures[name]["whole ms"].median - own for name in ("Clary", "podman run"))
    report.bars = [Bar("a container job's overhead, of bare podman run's", ours / theirs, 1.2)]
    report.finish(options.keep)


if __name__ == "__main__":
    main()
