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

State = Phase | Health | ExitRecord
Content = LogBatch | State


class Intake:
    """`take` may be given what was taken before: nothing changes then."""

    def __init__(self, records: Database, logs: Database, clock: Clock) -> None:
        self.records = records
        self._logs = logs
        self._clock = clock

    def take(self, brought: Sequence[tuple[InstanceSpec, Sequence[Content]]]) -> None:
        """All that each instance's agent has brought, in order, durably."""
        lines: list[tuple[InstanceSpec, LogBatch]] = []
        states: list[tuple[str, State]] = []
        for spec, contents in brought:
            lines += [(spec, each) for each in contents if isinstance(each, LogBatch)]
            states += [(spec.id, each) for each in contents if not isinstance(each, LogBatch)]
        # lines first: when an exit record can be seen, so can all that was printed before it
        if lines:
            self._logs.write(lambda connection: self._append(connection, lines))
        if states:
            self.records.write(lambda connection: _enter(connection, states))

    def _append(self, connection: Connection, lines: Sequence[tuple[InstanceSpec, LogBatch]]) -> None:
        now = self._clock.now()
        for spec, each in lines:
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
        self.take([(spec, [each.content() for each in reports])])
        spool.unlink()


def _enter(connection: Connection, states: Sequence[tuple[str, State]]) -> None:
    for instance, each in states:
        rows.report(connection, instance, each)
