"""How long after the end of a job the untouched clients that wait for it return, with the hold and without.

python benchmarks/waiting.py [--rounds N] [--keep]
"""

from __future__ import annotations

import functools
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from measure.report import Bar, Report, arguments
from measure.rounds import Spread
from measure.servers import Clary, clary
from measure.training import ended, train

ABOUT = """Jobs of the built-in XGBoost that would train for ever and are ended by their `MaxRuntimeInSeconds` after 1,
7 or 18 s, so that they last about 2, 8 and 20 s in all. *Late* is the time from the job's last change (its
`LastModifiedTime`) to the moment the client's call returned: `Estimator.fit(logs=True)` of the SageMaker Python SDK
v2, whose first look is 5 s after the creation, so that it counts from there for a shorter job; `ModelTrainer.train` of
v3 with logs; boto3's waiter `training_job_completed_or_stopped` and `aws sagemaker wait`, which wait for one job, the
latter with the end of its process and, where the job is over before the CLI has begun, from what a plain `aws
sagemaker describe-training-job` takes. *Endpoint* is boto3's waiter `endpoint_in_service`. All clients are as they
come from their package index. *Without the hold* is the same server with `CLARY_DESCRIBE_HOLD_SECONDS=0`, each client
once with the job of 8 s. The plain boto3 client describes the job that the waiters wait for until it ends: nothing
holds it."""
WHERE = """What is left is the commit of the end, the wake of the parked answer, one look at the record, and what the
client does with it: SDK v2 reads the whole log and prints it (some 900 lines of the longest job; with 3,600 lines it
was 0.8 s late), the CLI ends its process. v3's first wait is held for 25 s, later looks for 5 s, since it shows new
log lines only between them: a longer job is up to 5 s late. A v2 `fit` of a job that its first look, held from 5 to 30
s, just misses returns up to 45 s later, by the SDK's own schedule; nothing but an earlier end of the job can change
that. Without the hold v2 looks at 5 s, then not before 35 s, and sleeps 10 s more; a waiter of boto3 or the CLI sleeps
120 s after its first look."""
_BETWEEN = 0.1  # seconds between two plain looks
_JOBS_END = 30.0  # seconds after which the jobs of the other server are over
LENGTHS = {"2 s job": 1, "8 s job": 7, "20 s job": 18}  # of training; starting and ending come on top
ROOT = Path(__file__).parents[1]
PROGRAMS = ROOT / "tests" / "flows" / "programs"
OPTIONS = 'SchemaVersion: "1.0"\nSageMaker: {PythonSDK: {Modules: {TelemetryOptOut: true}}}\n'

Figures = dict[str, dict[str, list[float]]]


class Waiters:
    """Each client's way to wait, on one server. What waits adds to `late` how late it was, by client."""

    def __init__(self, server: Clary, bucket: str) -> None:
        self.late: Figures = {}
        self.plain: list[float] = []  # seconds that each plain Describe took
        self._cli_seconds = 0.0
        self._server = server
        self._sagemaker = server.client("sagemaker")
        self._data = f"s3://{bucket}"
        s3 = server.client("s3")
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key="train/points.csv", Body=_table())

    def warm(self) -> None:
        """The image's environment and its fork server are there afterwards, and what the CLI takes is known."""
        job = self._short()
        ended(self._sagemaker, job)
        begin = time.time()
        self._run("awscli", "aws", "sagemaker", "describe-training-job", "--training-job-name", job)
        self._cli_seconds = time.time() - begin

    def endpoint(self) -> None:
        """boto3's waiter for a new one, with a model that was trained before."""
        name = self._short()
        job = ended(self._sagemaker, name)
        container = {
            "Image": job["AlgorithmSpecification"]["TrainingImage"],
            "ModelDataUrl": job["ModelArtifacts"]["S3ModelArtifacts"],
        }
        self._sagemaker.create_model(ModelName=name, ExecutionRoleArn=job["RoleArn"], PrimaryContainer=container)
        variant = {"VariantName": "v", "ModelName": name, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
        self._sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        self._sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        self._sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name)
        returned = time.time()
        changed = self._sagemaker.describe_endpoint(EndpointName=name)["LastModifiedTime"].timestamp()
        self._add("boto3 waiter", "endpoint", returned - float(changed))
        self._sagemaker.delete_endpoint(EndpointName=name)

    def sdk(self, name: str, sdk: str, length: str, first_look: float) -> None:
        said = self._run(sdk, "python", str(PROGRAMS / f"wait_{sdk}.py"), self._data, str(LENGTHS[length]))
        told = json.loads(said.splitlines()[-1])
        self._add(name, length, told["returned"] - self._end(told["job"], first_look))

    def waiters(self, length: str) -> None:
        """boto3's and the CLI's for one job, a plain client beside them."""
        job = self._endless(LENGTHS[length])
        first = {"boto3 waiter": 0.0, "AWS CLI wait": time.time() + self._cli_seconds}
        with ThreadPoolExecutor(2) as pool:
            waits = {"boto3 waiter": pool.submit(self._boto3, job), "AWS CLI wait": pool.submit(self._cli, job)}
            while True:
                begin = time.monotonic()
                status = self._sagemaker.describe_training_job(TrainingJobName=job)["TrainingJobStatus"]
                if status == "Stopped":
                    break
                self.plain.append(time.monotonic() - begin)
                time.sleep(_BETWEEN)
            for name, wait in waits.items():
                self._add(name, length, wait.result() - max(self._end(job), first[name]))

    def _endless(self, seconds: int) -> str:
        settings = {"num_round": "1000000", "max_depth": "8", "objective": "reg:squarederror"}
        return train(self._sagemaker, f"{self._data}/train", f"{self._data}/output", settings, seconds)[0]

    def _short(self) -> str:
        settings = {"num_round": "5", "objective": "reg:squarederror"}
        return train(self._sagemaker, f"{self._data}/train", f"{self._data}/output", settings)[0]

    def _boto3(self, job: str) -> float:
        self._sagemaker.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName=job)
        return time.time()

    def _cli(self, job: str) -> float:
        words = ("aws", "sagemaker", "wait", "training-job-completed-or-stopped", "--training-job-name", job)
        self._run("awscli", *words)
        return time.time()

    def _end(self, name: str, first_look: float = 0.0) -> float:
        """When a wait for the job can return at the earliest, in epoch seconds."""
        job = self._sagemaker.describe_training_job(TrainingJobName=name)
        assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded"), job
        return max(float(job["LastModifiedTime"].timestamp()), float(job["CreationTime"].timestamp()) + first_look)

    def _add(self, client: str, what: str, late: float) -> None:
        self.late.setdefault(client, {}).setdefault(f"{what}: late s", []).append(late)

    def _run(self, client: str, *command: str) -> str:
        """What a program of .venvs/CLIENT prints, pointed at the server as a user does it."""
        options = self._server.home / "sdk.yaml"
        options.write_text(OPTIONS)
        environment = self._server.environment | {
            "PATH": f"{ROOT / '.venvs' / client / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self._server.home),
            "SAGEMAKER_USER_CONFIG_OVERRIDE": str(options),
            "PYTHONWARNINGS": "ignore",
        }
        words = [sys.executable, "-m", "clary.cli", "run", "--", *command]
        done = subprocess.run(words, env=environment, check=False, capture_output=True, text=True, timeout=230)
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")
        return done.stdout


def _table() -> bytes:
    """CSV of which a round, and so a line of the log, takes some 20 ms."""
    draw = random.Random(1)
    rows = [(draw.random(), draw.random()) for _ in range(200_000)]
    return "\n".join(f"{int(x + y > 1)},{x:.5f},{y:.5f}" for x, y in rows).encode() + b"\n"


def measure(held: Waiters, free: Waiters, rounds: int) -> None:
    """One job at a time; what sleeps without the hold sleeps beside, after its job has ended."""
    with ThreadPoolExecutor(3) as pool:
        sleeping = [pool.submit(each) for each in _each(free, "8 s job")]
        time.sleep(_JOBS_END)
        for _ in range(rounds):
            held.endpoint()
            for length in LENGTHS:
                for wait in _each(held, length):
                    wait()
        for each in sleeping:
            each.result()


def _each(waiters: Waiters, length: str) -> list[Callable[[], None]]:
    return [
        functools.partial(waiters.sdk, "SDK v2 fit", "sdk2", length, 5.0),
        functools.partial(waiters.sdk, "SDK v3 train", "sdk3", length, 0.0),
        functools.partial(waiters.waiters, length),
    ]


def spreads(held: Waiters, free: Waiters) -> dict[str, Mapping[str, Spread]]:
    found = held.late | {f"{name}, without the hold": each for name, each in free.late.items()}
    found["boto3, plain Describe"] = {"unfinished job ms": [1000 * each for each in held.plain]}
    return {name: {figure: Spread.of(values) for figure, values in each.items()} for name, each in found.items()}


def main() -> None:
    options = arguments(ABOUT, rounds=1)
    with ExitStack() as stack:
        held, free = (
            Waiters(stack.enter_context(clary(job_slots="4", describe_hold_seconds=seconds)), f"waiting-{seconds}")
            for seconds in ("25", "0")
        )
        held.warm(), free.warm()
        measure(held, free, options.rounds)
    report = Report("waiting", "Waiting clients", ABOUT, options.rounds, spreads(held, free), where=WHERE)
    report.bars = [
        Bar(f"{name}, {figure.partition(':')[0]}: latest", max(values), 0.5, "s")
        for name, each in held.late.items()
        for figure, values in each.items()
    ]
    report.bars.append(Bar("plain Describe of an unfinished job: slowest", max(held.plain), 0.5, "s"))
    report.finish(options.keep)


if __name__ == "__main__":
    main()
