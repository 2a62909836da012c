"""What many agents bring at once: taken together, and no agent's trouble is another's."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import pytest

from clary.clock import SystemClock
from clary.compute.ingest import Ingest
from clary.compute.reports import Intake
from clary.contract.instance import Image, InstanceSpec
from clary.contract.link import LogBatch
from clary.store import logs
from clary.store.engine import SqliteDatabase
from clary.store.schema import LOGS, RECORDS

SPEC = InstanceSpec(
    "i-0", "training", Image("builtin", "u", "a", "e"), "j", "arn:j", "1", "r", "role", "t", "", "g", "s-0"
)


def spec(number: int) -> InstanceSpec:
    return dataclasses.replace(SPEC, id=f"i-{number}", log_stream=f"s-{number}")


@pytest.fixture
def databases(tmp_path: Path) -> tuple[SqliteDatabase, SqliteDatabase]:
    return SqliteDatabase(str(tmp_path / "r.db"), RECORDS), SqliteDatabase(str(tmp_path / "l.db"), LOGS)


def test_what_cannot_be_taken_hinders_its_own_agent_only(databases: tuple[SqliteDatabase, SqliteDatabase]) -> None:
    ingest = Ingest(Intake(*databases, SystemClock()))
    told: dict[int, Exception | None] = {}
    all_told = threading.Event()

    def bring(number: int, at: int) -> None:
        def taken(error: Exception | None) -> None:
            told[number] = error
            if len(told) == 3:
                all_told.set()

        ingest.bring(spec(number), [LogBatch(0, ((at, f"line of {number}"),))], taken)

    for number, at in enumerate((1, 1 << 70, 2)):  # no database has a number for the second one's time
        bring(number, at)
    ingest.start()
    assert all_told.wait(20)
    ingest.close()
    assert [told[number] is None for number in range(3)] == [True, False, True]
    found = databases[1].read(lambda connection: list(logs.stream_names(connection, range(9)).values()))
    assert sorted(found) == ["s-0", "s-2"]
