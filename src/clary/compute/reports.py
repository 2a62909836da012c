"""Makes what agents report durable: phases, health and exit records in the records database, lines in the logs
database."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy.engine import Connection

from clary.clock import Clock
from clary.compute import rows
from clary.contract.instance import ExitRecord, InstanceSpec, Phase
from clary.contract.link import Health, LogBatch, MessageError, Report, decode
from clary.store import logs as log_store
from clary.store.engine import Database


class Intake:
    """`take` may be given a report that was taken before: nothing changes then."""

    def __init__(self, records: Database, logs: Database, clock: Clock) -> None:
        self.records = records
        self._logs = logs
        self._clock = clock

    def take(self, spec: InstanceSpec, reports: Sequence[Report]) -> bool:
        """All of them, in order, durably; whether anything but log lines was among them."""
        states: list[Phase | Health | ExitRecord] = []
        batches: list[LogBatch] = []
        for report in reports:
            content = report.content()
            if isinstance(content, LogBatch):
                batches.append(content)
            else:
                states.append(content)
        # lines first: when an exit record can be seen, so can all that was printed before it
        if batches:
            self._logs.write(lambda connection: self._append(connection, spec, batches))
        if states:
            self.records.write(lambda connection: _enter(connection, spec.id, states))
        return bool(states)

    def _append(self, connection: Connection, spec: InstanceSpec, batches: Sequence[LogBatch]) -> None:
        now = self._clock.now()
        for each in batches:
            where = (spec.account, spec.region, spec.log_group, spec.log_stream)
            log_store.append(connection, *where, each.events, now, each.position)

    def take_spool(self, spec: InstanceSpec, spool: Path) -> None:
        """What a dead agent left unacknowledged. A last line that was not written whole is nothing."""
        if not spool.exists():
            return
        reports = []
        with spool.open("rb") as file:
            for line in file:
                try:
                    message = decode(line)
                except MessageError:
                    break
                if isinstance(message, Report):
                    reports.append(message)
        self.take(spec, reports)
        spool.unlink()


def _enter(connection: Connection, instance: str, states: Sequence[Phase | Health | ExitRecord]) -> None:
    for each in states:
        rows.report(connection, instance, each)
