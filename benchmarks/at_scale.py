"""Listings and descriptions among 100,000 training jobs against the same among 1,000.

python benchmarks/at_scale.py [--rounds N] [--keep]
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from botocore.credentials import Credentials
from measure import history
from measure.calls import calls
from measure.load import Load
from measure.report import Bar, Report, arguments
from measure.rounds import Sample, take_turns
from measure.servers import Clary, clary

SMALL, LARGE = 1_000, 100_000
SECONDS = 1.0
DIFFERENT = 200  # requests of each form
ABOUT = f"""Two servers, one with {SMALL:,} training jobs and one with {LARGE:,}, are asked the same in turn over one
connection, 100 jobs a page (10 with StatusEquals, of which the smaller has few). *Late* and *early* bounds leave the
last or the first fifth of the jobs, *next page* is the third one. NameContains looks for a name
that no job has, which is its worst case: every name is looked at."""
WHERE = """Every order has an index that holds what can be filtered by beside it, and a page is read from where it
begins; so the number of jobs does not matter. A bound on one time in the order of the other begins within the longest
lifetime that a job of the account has had, which an index knows: LastModifiedTimeAfter in the order of creation took
31 times as long before. What has to be searched still grows: NameContains looks at every name in such an index."""

Form = Callable[[int], dict[str, Any]]


def moment(count: int, share: float) -> str:
    """When that share of the jobs had been created."""
    seconds = history.BEGIN + count * share * history.BETWEEN
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat()


def sorted_by(name: str, order: str) -> Form:
    return lambda _: {"SortBy": name, "SortOrder": order}


def bounded(**shares: float) -> Form:
    return lambda count: {member: moment(count, share) for member, share in shares.items()}


FORMS: dict[str, Form] = {
    "List": lambda _: {},
    **{
        f"List, by {name}, {order}": sorted_by(name, order)
        for name in ("Name", "CreationTime", "Status")
        for order in ("Ascending", "Descending")
    },
    "List, StatusEquals": lambda _: {"StatusEquals": "Failed", "MaxResults": 10},
    "List, StatusEquals, newest first": lambda _: {
        "StatusEquals": "Stopped",
        "SortOrder": "Descending",
        "MaxResults": 10,
    },
    "List, CreationTimeAfter, late": bounded(CreationTimeAfter=0.8),
    "List, CreationTimeBefore, early": bounded(CreationTimeBefore=0.2),
    "List, LastModifiedTimeBefore, early": bounded(LastModifiedTimeBefore=0.2),
    "List, LastModifiedTimeAfter, late, newest first": lambda count: {
        "LastModifiedTimeAfter": moment(count, 0.8),
        "SortOrder": "Descending",
    },
    "List, LastModifiedTimeAfter, late": bounded(LastModifiedTimeAfter=0.8),
}
SEARCHING: dict[str, Form] = {
    "List, NameContains": lambda _: {"NameContains": "no-such-name"},
}


class Server:
    def __init__(self, server: Clary, count: int) -> None:
        self._port, self._count = server.port, count
        keys = server.keys()
        self._key = Credentials(keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"])
        self._client = server.client("sagemaker")

    def list(self, form: Form) -> Callable[[], Sample]:
        given = {"MaxResults": 100, **form(self._count)}
        self._client.list_training_jobs(**given)  # refuses what is no request
        return self._load("ListTrainingJobs", [given] * DIFFERENT)

    def next_page(self) -> Callable[[], Sample]:
        given: dict[str, Any] = {"MaxResults": 100}
        for _ in range(2):
            given["NextToken"] = self._client.list_training_jobs(**given)["NextToken"]
        return self._load("ListTrainingJobs", [given] * DIFFERENT)

    def describe(self) -> Callable[[], Sample]:
        step = self._count // DIFFERENT
        names = [history.of(number * step) for number in range(DIFFERENT)]
        return self._load("DescribeTrainingJob", [{"TrainingJobName": name} for name in names])

    def _load(self, operation: str, given: list[dict[str, Any]]) -> Callable[[], Sample]:
        load = Load(self._port, calls(self._port, operation, given, self._key))
        return lambda: {"p50 us": load.run(1, SECONDS)["p50 us"]}


def asked(server: Server) -> dict[str, Callable[[], Sample]]:
    forms = {name: server.list(form) for name, form in {**FORMS, **SEARCHING}.items()}
    return {**forms, "List, next page": server.next_page(), "Describe": server.describe()}


def main() -> None:
    options = arguments(ABOUT, rounds=3)
    with ExitStack() as stack:
        servers = {
            count: Server(stack.enter_context(clary(history.training_jobs(count))), count) for count in (SMALL, LARGE)
        }
        small, large = (asked(servers[count]) for count in (SMALL, LARGE))
        contenders = {}
        for name in small:
            contenders[f"{name}: {SMALL:,}"] = small[name]
            contenders[f"{name}: {LARGE:,}"] = large[name]
        figures = take_turns(contenders, options.rounds)
    report = Report("at_scale", f"Among {LARGE:,} jobs", ABOUT, options.rounds, figures, where=WHERE)
    for name in small:
        if name == "List, NameContains":
            report.bars.append(Bar(name, figures[f"{name}: {LARGE:,}"]["p50 us"].median / 1000, 100, "ms"))
        else:
            report.bars.append(Bar(name, report.ratio("p50 us", f"{name}: {LARGE:,}", f"{name}: {SMALL:,}"), 1.2))
    report.finish(options.keep)


if __name__ == "__main__":
    main()
