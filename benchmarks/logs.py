"""A million log lines from twenty training jobs at once, and what the API's calls take meanwhile.

python benchmarks/logs.py [--rounds N] [--keep]        (rounds: of training, in thousands)
"""

from __future__ import annotations

import gc
import itertools
import math
import os
import time
from collections.abc import Callable
from typing import Any

from measure import processes
from measure.report import Bar, Report, arguments
from measure.rounds import Spread
from measure.servers import Clary, clary
from measure.training import ended, train

ABOUT = """Twenty jobs of the built-in XGBoost at once (`job_slots` 20), each of 50,000 rounds of a linear model on
a few rows: one line a round. All the while one client calls DescribeTrainingJob, ListTrainingJobs, GetLogEvents of a
running job and PutObject (1 KiB) in turn, a short pause between, as it did before on the idle server. *lag*: how old
the newest line that can be read is while its job prints. Afterwards every stream is read to its end and counted."""
WHERE = """A batch of lines is one statement, which SQLite takes apart without the interpreter's lock (4 us a line, and
a prepared statement's 0.1 ms a batch); one thread takes what all agents have brought in one transaction and then rests
for twice as long, and agents send larger batches while it is behind. What is left is the cores: forty processes of
jobs and agents on two of them beside one control plane, and a client's call waits for each of its turns. Jobs step
back the farther, the more slots there are (nice 19 here). Idle cgroups and the kernel's idle class in place of nice
values made p90 and p99 better and the slowest calls and the lag no better, and jobs then hardly move beside busy
endpoints: not kept. What would reach the bar is a core set aside for the server."""
JOBS = 20
GROUP = "/aws/sagemaker/TrainingJobs"
TINY = b"1,0.5,2\n0,1.5,1\n1,0.25,3\n0,2.5,0.5\n"
_PAUSE = 0.005  # seconds between two calls
_IDLE_CALLS = 1600


class Probe:
    """One client, and how long each of its calls took, in milliseconds."""

    def __init__(self, server: Clary, job: str) -> None:
        self._sagemaker, self._logs, self._s3 = (server.client(each) for each in ("sagemaker", "logs", "s3"))
        self._job = job
        self._stream = ""
        self.watch(job)
        self.lags: list[float] = []
        self.taken: dict[str, list[float]] = {}
        self._calls: itertools.cycle[tuple[str, Callable[[], Any]]] = itertools.cycle(
            [
                ("DescribeTrainingJob", lambda: self._sagemaker.describe_training_job(TrainingJobName=self._job)),
                ("ListTrainingJobs", lambda: self._sagemaker.list_training_jobs(MaxResults=10)),
                ("GetLogEvents", self._newest),
                ("PutObject", lambda: self._s3.put_object(Bucket="flood", Key="probe", Body=bytes(1024))),
            ]
        )

    def watch(self, job: str) -> bool:
        """Turns to the log of another job; False while it has none."""
        found = self._logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{job}/")["logStreams"]
        if found:
            self._stream = found[0]["logStreamName"]
        return bool(found)

    def call(self) -> None:
        name, function = next(self._calls)
        begin = time.monotonic()
        function()
        self.taken.setdefault(name, []).append((time.monotonic() - begin) * 1e3)
        time.sleep(_PAUSE)

    def _newest(self) -> None:
        events = self._logs.get_log_events(logGroupName=GROUP, logStreamName=self._stream, limit=1)["events"]
        self.lags.append(time.time() - events[-1]["timestamp"] / 1e3)

    def collected(self) -> tuple[dict[str, list[float]], list[float]]:
        """What there is since the last time."""
        taken, lags = self.taken, self.lags
        self.taken, self.lags = {}, []
        return taken, lags

    def lines(self, job: str) -> int:
        """How many lines the job's stream has, read page by page."""
        self.watch(job)
        count, token = 0, ""
        while True:
            where = {"logGroupName": GROUP, "logStreamName": self._stream, "startFromHead": True}
            page = self._logs.get_log_events(**where, **({"nextToken": token} if token else {}))
            if page["nextForwardToken"] == token:
                return count
            count, token = count + len(page["events"]), page["nextForwardToken"]


def times(taken: dict[str, list[float]]) -> dict[str, dict[str, Spread]]:
    return {
        name: {
            "p50 ms": Spread.of([quantile(values, 0.5)]),
            "p99 ms": Spread.of([quantile(values, 0.99)]),
            "slowest ms": Spread.of([max(values)]),
        }
        for name, values in taken.items()
    }


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, math.ceil(share * len(values)) - 1)]


class Flood:
    """`idle` and `busy`: call -> its times; `lags` in seconds; `seconds` from the first job's Create to the last one's
    end, `control` and `rest` the CPU seconds of the control plane and of the other processes of Clary's own."""

    def __init__(self, server: Clary, rounds: int) -> None:
        self._server, self._sagemaker, s3 = server, server.client("sagemaker"), server.client("s3")
        s3.create_bucket(Bucket="flood")
        s3.put_object(Bucket="flood", Key="train/tiny.csv", Body=TINY)
        first = self._train(10)
        ended(self._sagemaker, first)
        probe = Probe(server, first)
        gc.disable()  # boto3's models make a collection take 150 ms, which is no time of the server's
        for _ in range(_IDLE_CALLS):
            probe.call()
        self.idle, _ = probe.collected()
        begin, used = time.time(), processes.cpu_seconds(server.pids("control"))
        jobs = [self._train(rounds) for _ in range(JOBS)]
        self._call_while_they_run(probe, jobs)
        self.busy, self.lags = probe.collected()
        ends = [self._completed(each) for each in jobs]
        self.seconds = max(ends) - begin
        self.control = processes.cpu_seconds(server.pids("control")) - used
        self.lines = [probe.lines(each) for each in jobs]

    def _train(self, rounds: int) -> str:
        settings = {"booster": "gblinear", "objective": "reg:squarederror", "nthread": "1", "num_round": str(rounds)}
        return train(self._sagemaker, "s3://flood/train/", "s3://flood/output", settings)[0]

    def _call_while_they_run(self, probe: Probe, jobs: list[str]) -> None:
        """Looks at the log of a job that prints; whether one is over is asked now and then."""
        left = list(jobs)
        while left:
            phase = self._sagemaker.describe_training_job(TrainingJobName=left[-1])["SecondaryStatus"]
            if phase in ("Starting", "Downloading") or (phase == "Training" and not probe.watch(left[-1])):
                time.sleep(0.05)
            elif phase != "Training":
                left.pop()
            else:
                for _ in range(100):
                    probe.call()

    def _completed(self, name: str) -> float:
        """When it ended, in epoch seconds."""
        job = ended(self._sagemaker, name, 600)
        if job["TrainingJobStatus"] != "Completed":
            raise RuntimeError(f"{name} is {job['TrainingJobStatus']}: {job.get('FailureReason')}")
        return float(job["TrainingEndTime"].timestamp())


def main() -> None:
    options = arguments(ABOUT, rounds=50)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with clary(job_slots=str(JOBS)) as server:
        run = Flood(server, options.rounds * 1000)
    expected = options.rounds * 1000 * JOBS
    if sum(run.lines) < expected:
        raise RuntimeError(f"{sum(run.lines)} lines of {expected} and more can be read")
    figures = {f"{name}, idle": each for name, each in times(run.idle).items()}
    figures |= {f"{name}, in the flood": each for name, each in times(run.busy).items()}
    lag = {"p50 s": Spread.of([quantile(run.lags, 0.5)]), "p99 s": Spread.of([quantile(run.lags, 0.99)])}
    rates = {
        "lines/s": Spread.of([sum(run.lines) / run.seconds]),
        "control plane's us a line": Spread.of([1e6 * run.control / sum(run.lines)]),
    }
    figures |= {"lag": lag, "the flood": rates}
    report = Report("logs", "A million log lines", ABOUT, 1, figures, where=WHERE)
    for name in run.idle:
        ratio = max(run.busy[name]) / quantile(run.idle[name], 0.99)
        report.bars.append(Bar(f"{name}: slowest in the flood to idle p99", ratio, 3))
    report.bars.append(Bar("age of the newest line that can be read, p99", lag["p99 s"].median, 1, "s"))
    report.finish(options.keep)


if __name__ == "__main__":
    main()
