"""What a server costs that nobody asks for anything: memory and CPU time of all its processes.

python benchmarks/idle.py [--rounds N] [--keep]
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

from jobs import SETTINGS, table
from measure import processes
from measure.report import Bar, Report, arguments
from measure.rounds import take_turns
from measure.servers import Clary, clary
from measure.training import ended, train

ABOUT = """A server with one edge that has answered requests and run a training job, then left alone. Memory: the
proportional set size: a page that several processes share counts once in all. *alone*: the same where no other program
of the machine shares Python's and OpenSSL's files: anonymous pages, and each file's mapped pages as often as the
process with the most of them has. The fork server, which keeps an image's libraries loaded, stands apart."""
WHERE = """Most of it is the control plane's, and of that most is code: SQLAlchemy, botocore, the services. Shapes of
the service models stay text until they are asked for, and the threads share one heap. No process polls: all wait in
the kernel for a socket, a child or a deadline."""
_SECONDS = 20.0  # of one look at the CPU time
PROCESSES = ("supervisor", "control", "edge", "launcher")
_MAPPING = re.compile(r"[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+ *(.*)")


def sizes(pids: set[int]) -> dict[str, float]:
    return {"MB": processes.memory(pids), "MB, alone": alone(pids)}


def alone(pids: Iterable[int]) -> float:
    """MB (10^6 bytes) of memory if nothing else ran."""
    anonymous, files = 0, defaultdict[str, int](int)
    for pid in pids:
        mapped = defaultdict[str, int](int)
        name = ""
        for line in Path("/proc", str(pid), "smaps").read_text().splitlines():
            if mapping := _MAPPING.match(line):
                name = mapping[1]
            elif line.startswith("Rss:"):
                mapped[name] += int(line.split()[1]) * 1024
            elif line.startswith("Anonymous:"):
                anonymous += int(line.split()[1]) * 1024
                mapped[name] -= int(line.split()[1]) * 1024
        for name, size in mapped.items():
            files[name] = max(files[name], size)
    return (anonymous + sum(files.values())) / 1e6


def at_rest(server: Clary) -> dict[str, float]:
    pids = own(server, *PROCESSES)
    begin, before = time.monotonic(), processes.cpu_seconds(pids)
    time.sleep(_SECONDS)
    used = processes.cpu_seconds(pids) - before
    return {**sizes(pids), "% of a core": 100 * used / (time.monotonic() - begin)}


def own(server: Clary, *names: str) -> set[int]:
    """The processes of these names, without the fork server: it is the launcher's child."""
    return server.pids(*names) - server.pids("fork-")


def part(server: Clary, name: str) -> Callable[[], dict[str, float]]:
    return lambda: sizes(own(server, name))


def main() -> None:
    options = arguments(ABOUT, rounds=4)
    with clary() as server:
        s3, sagemaker = server.client("s3"), server.client("sagemaker")
        s3.create_bucket(Bucket="census")
        s3.put_object(Bucket="census", Key="train/census.csv", Body=table())
        name = train(sagemaker, "s3://census/train/", "s3://census/output", SETTINGS)[0]
        if ended(sagemaker, name)["TrainingJobStatus"] != "Completed":
            raise RuntimeError(f"{name} did not complete")
        while server.pids("agent-"):
            time.sleep(0.1)
        contenders = {"the whole server": lambda: at_rest(server)}
        contenders |= {each: part(server, each) for each in PROCESSES}
        contenders["apart: the fork server"] = lambda: sizes(server.pids("fork-"))
        figures = take_turns(contenders, options.rounds)
    report = Report("idle", "A server at rest", ABOUT, options.rounds, figures, where=WHERE)
    whole = figures["the whole server"]
    report.bars = [
        Bar("idle server, memory", whole["MB"].median, 120, "MB"),
        Bar("idle server, CPU", whole["% of a core"].median, 1, "% of a core"),
    ]
    report.finish(options.keep)


if __name__ == "__main__":
    main()
