"""The control plane's calls beside moto_server: list, describe and create training jobs.

python benchmarks/control_plane.py [--rounds N] [--keep]
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.credentials import Credentials
from measure import history, processes
from measure.calls import calls
from measure.load import Load
from measure.report import Bar, Report, arguments
from measure.rounds import Sample, take_turns
from measure.servers import Clary, clary, free_port, peer

ROOT = Path(__file__).parents[1]
COUNT = 1000  # jobs there are
PAGE = {"MaxResults": 100, "SortBy": "CreationTime", "SortOrder": "Descending"}
SECONDS = 1.0
ABOUT = """ListTrainingJobs (100 of 1,000), DescribeTrainingJob and CreateTrainingJob: requests signed
beforehand as boto3 signs them, sent by wrk over 1 and over 16 connections. Clary checks every signature and
answers a create when it is on the disk; moto_server checks nothing and keeps its jobs in memory. Clary's
1,000 jobs are over, written into the store before the start. A job that is created stays in the queue,
because a job whose agent was halted (SIGSTOP) holds the only slot; what it takes to queue them is part of the
figure. The disk's own floor for a create is to append 4 KiB to a file and sync it. boto3 is measured as its
caller sees it; against an nginx that gives the same list as a fixed answer, that is what boto3 itself takes.
CPU is that of the server's edge and control plane for one request."""
WHERE = """A page of a List is one row that the database joins from stored summaries, half of its cost in the
control plane. Describe answers the stored document's text: it is read only for a running job, whose document
has members of the service's own; the 66 metric definitions of the built-in XGBoost, which moto_server's
answer has not, stand in no document and are put in as one ready text. Before that it took three times the
CPU. What both cost now is the way through: edge, frames, signature, routing. A job that is created while
others wait is born in the queue, in the one transaction that creates it, and the scheduler has nothing to do
for it before its turn; before, it wrote each new job a second time, and a create took three times the CPU. A
create is now validation and completion of the request (a third), three statements on seven indices (a third)
and its share of the commit. While a commit is on its way to the disk, other requests are worked at and share
the next: with a disk that takes 5 ms to sync, 16 connections create 640 jobs a second instead of 300. At 1
connection a create is bound by the commit. Options that are not built are looked up by what a request has, a request's
frames are read in one call, the role's trust policy is parsed once. What an identity may do whatever the resource is
decided once, where each request took 17 to 42 us for it; values that live for one request are made without the price
of a frozen dataclass. To come further: a document that is not copied before it is written, and heads between edge and
control plane that are no JSON."""


@dataclass
class Side:
    """A server, those of its processes that have to do with calls, and a key for it."""

    port: int
    pids: Callable[[], set[int]]
    key: Credentials

    def client(self) -> Any:
        session = boto3.Session(self.key.access_key, self.key.secret_key, region_name="us-east-1")
        return session.client("sagemaker", endpoint_url=f"http://127.0.0.1:{self.port}")

    def measure(self, load: Callable[[int], Load]) -> Sample:
        """`load` is given the number of connections."""
        figures: dict[str, float] = {}
        for connections in (1, 16):
            made, pids = load(connections), self.pids()
            before = processes.cpu_seconds(pids)
            run = made.run(connections, SECONDS)
            spent = processes.cpu_seconds(pids) - before
            figures |= {f"p50 us at {connections}": run["p50 us"], f"req/s at {connections}": run["req/s"]}
            figures[f"CPU us at {connections}"] = spent / (run["req/s"] * SECONDS) * 1e6
        return figures


class Reads:
    """List and Describe of the jobs there are, checked before they are measured."""

    def __init__(self, side: Side) -> None:
        self.side = side
        names = [history.of(number) for number in range(COUNT)]
        _check(side.client(), names)
        self._list = Load(side.port, calls(side.port, "ListTrainingJobs", [PAGE] * COUNT, side.key))
        ones = [{"TrainingJobName": name} for name in names]
        self._describe = Load(side.port, calls(side.port, "DescribeTrainingJob", ones, side.key))

    def list(self) -> Sample:
        return self.side.measure(lambda _: self._list)

    def describe(self) -> Sample:
        return self.side.measure(lambda _: self._describe)

    def seen(self) -> Sample:
        return seen(self.side.client())


class Creates:
    """`most` is how many a second there are requests for; the load fails when they run out."""

    def __init__(self, side: Side, most: int) -> None:
        self._side = side
        self._count = int(most * SECONDS)
        self._created = 0

    def create(self) -> Sample:
        return self._side.measure(self._load)

    def _load(self, _: int) -> Load:
        names = [f"new-{number:08}" for number in range(self._created, self._created + self._count)]
        self._created += self._count
        client = self._side.client()
        given = [history.asked_for(name) for name in names]
        client.create_training_job(**given.pop())
        client.describe_training_job(TrainingJobName=names[-1])
        return Load(self._side.port, calls(self._side.port, "CreateTrainingJob", given, self._side.key))


def _check(client: Any, names: list[str]) -> None:
    page = client.list_training_jobs(**PAGE)
    listed = [each["TrainingJobName"] for each in page["TrainingJobSummaries"]]
    if len(listed) != PAGE["MaxResults"] or not set(listed) <= set(names) or "NextToken" not in page:
        raise RuntimeError(f"not a page of the jobs there are: {listed}")
    for name in names[:: COUNT // 10]:
        job = client.describe_training_job(TrainingJobName=name)
        if job["TrainingJobName"] != name or job["HyperParameters"] != history.asked_for(name)["HyperParameters"]:
            raise RuntimeError(f"not the job that was created: {job}")


def seen(client: Any) -> Sample:
    """List as boto3's caller sees it."""
    times = []
    end = time.perf_counter() + SECONDS
    while (begin := time.perf_counter()) < end:
        client.list_training_jobs(**PAGE)
        times.append(time.perf_counter() - begin)
    return {"p50 us at 1": statistics.median(times) * 1e6}


def disk() -> Sample:
    """Append 4 KiB, sync."""
    times, piece = [], os.urandom(4096)
    with tempfile.NamedTemporaryFile(prefix="clary-bench-") as file:
        end = time.perf_counter() + SECONDS
        while (begin := time.perf_counter()) < end:
            os.write(file.fileno(), piece)
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - begin)
    return {"p50 us at 1": statistics.median(times) * 1e6, "req/s at 1": len(times) / SECONDS}


def ours(server: Clary) -> Side:
    keys = server.keys()
    key = Credentials(keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"])
    return Side(server.port, lambda: server.pids("edge", "control"), key)


@contextmanager
def moto() -> Iterator[Side]:
    """moto_server with as many jobs."""
    program = ROOT / ".venvs" / "peers-moto" / "bin" / "moto_server"
    if not program.exists():
        raise SystemExit("this benchmark needs moto_server: make benchmarks")
    port = free_port()
    with peer([str(program), "-H", "127.0.0.1", "-p", str(port)], port) as process:
        side = Side(port, lambda: processes.family(process.pid), Credentials("key", "secret"))
        client = side.client()
        for number in range(COUNT):
            client.create_training_job(**history.asked_for(history.of(number)))
        yield side


@contextmanager
def fixed(answer: bytes) -> Iterator[Any]:
    """A client of an nginx that knows one answer."""
    with tempfile.TemporaryDirectory(prefix="clary-bench-") as name:
        folder, port = Path(name), free_port()
        (folder / "answer").write_bytes(answer)
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=port, user=user))
        with peer(["nginx", "-e", "stderr", "-c", str(folder / "nginx.conf")], port):
            yield Side(port, set, Credentials("key", "secret")).client()


_NGINX = """
{user} worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log stderr;
events {{ worker_connections 64; }}
http {{ access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port}; root {folder}; default_type application/x-amz-json-1.1;
    error_page 405 =200 /answer; location / {{ try_files /answer =404; }} }} }}
"""


def main() -> None:
    options = arguments(ABOUT, rounds=7)
    with ExitStack() as stack:
        reads = Reads(ours(stack.enter_context(clary(history.training_jobs(COUNT)))))
        full = stack.enter_context(clary(history.training_jobs(COUNT), job_slots="1", stop_grace_seconds="1"))
        stack.enter_context(history.halted_job(full))
        creates = Creates(ours(full), most=5000)
        theirs = Reads(stack.enter_context(moto()))
        their_creates = Creates(stack.enter_context(moto()), most=1000)
        nginx = stack.enter_context(fixed(history.page(reads.side.client(), PAGE)))
        contenders: dict[str, Callable[[], Sample]] = {
            "List, Clary": reads.list,
            "List, moto_server": theirs.list,
            "Describe, Clary": reads.describe,
            "Describe, moto_server": theirs.describe,
            "Create, Clary": creates.create,
            "Create, moto_server": their_creates.create,
            "append and sync": disk,
            "List as boto3 sees it, Clary": reads.seen,
            "List as boto3 sees it, moto_server": theirs.seen,
            "List as boto3 sees it, fixed answer": lambda: seen(nginx),
        }
        figures = take_turns(contenders, options.rounds)
    report = Report("control_plane", "The control plane's calls", ABOUT, options.rounds, figures, where=WHERE)
    rate = {call: report.ratio("req/s at 16", f"{call}, Clary", f"{call}, moto_server") for call in _GOALS}
    alone = {call: report.ratio("req/s at 1", f"{call}, Clary", f"{call}, moto_server") for call in _GOALS}
    report.bars = [Bar(f"{call} at 16, of moto_server", rate[call], goal, least=True) for call, goal in _GOALS.items()]
    report.bars += [Bar(f"{call} at 1, of moto_server", alone[call], goal, least=True) for call, goal in _GOALS.items()]
    boto = report.ratio("p50 us at 1", "List as boto3 sees it, Clary", "List as boto3 sees it, fixed answer")
    report.bars.append(Bar("List as boto3 sees it, of boto3 itself", boto, 2))
    report.finish(options.keep)


_GOALS = {"List": 20, "Describe": 10, "Create": 5}


if __name__ == "__main__":
    main()
