"""What is known of instances, as rows of the records database. Functions of a connection; every one may run twice."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.contract.instance import ExitRecord, InstanceSpec, Phase
from clary.contract.link import Health
from clary.store.schema import instances


@dataclass(frozen=True, slots=True)
class Row:
    """One instance as reported so far."""

    spec: InstanceSpec
    phases: tuple[Phase, ...]
    address: str
    healthy: bool
    stop_asked: bool
    exit: ExitRecord | None


def add(connection: Connection, spec: InstanceSpec, now: float) -> None:
    """Enters an instance that is going to be launched."""
    if find(connection, spec.id) is None:
        values = {"id": spec.id, "owner": spec.job_arn, "spec": spec.to_json(), "phases": [], "created": now}
        connection.execute(instances.insert().values(**values))


def find(connection: Connection, instance: str) -> Row | None:
    row = connection.execute(sa.select(instances).where(instances.c.id == instance)).mappings().first()
    if row is None:
        return None
    return Row(
        spec=InstanceSpec.from_json(row["spec"]),
        phases=tuple(Phase(**each) for each in row["phases"]),
        address=row["address"],
        healthy=row["healthy"],
        stop_asked=row["stop_asked"],
        exit=ExitRecord.from_json(row["exit_record"]) if row["exit_record"] else None,
    )


def report(connection: Connection, instance: str, content: Phase | Health | ExitRecord) -> None:
    """Enters what an agent says; nothing changes when it was entered before or the instance is not known."""
    row = find(connection, instance)
    if row is None or row.exit is not None:
        return
    match content:
        case Phase():
            phases = [asdict(each) for each in _with_phase(row.phases, content)]
            _update(connection, instance, phases=phases)
        case Health(healthy, address):
            _update(connection, instance, healthy=healthy, address=address)
        case ExitRecord():
            _update(connection, instance, healthy=False, address="", exit_record=content.to_json())


def _with_phase(phases: tuple[Phase, ...], new: Phase) -> tuple[Phase, ...]:
    if any((each.name, each.at) == (new.name, new.at) for each in phases):
        return phases
    if phases and phases[-1].name == new.name:
        return (*phases[:-1], Phase(new.name, phases[-1].at, new.message))
    return (*phases, new)


def ask_stop(connection: Connection, instance: str) -> None:
    _update(connection, instance, stop_asked=True)


def remove(connection: Connection, instance: str) -> None:
    connection.execute(instances.delete().where(instances.c.id == instance))


def _update(connection: Connection, instance: str, **values: object) -> None:
    connection.execute(instances.update().where(instances.c.id == instance).values(**values))
