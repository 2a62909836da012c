"""Servers that tests may kill."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from .machine import Machine
from .work import prepare

Start = Callable[..., Machine]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Starts servers on throw-away homes; all of them are gone after the module's last test."""
    machines: list[Machine] = []
    with tempfile.TemporaryDirectory(prefix="clary-faults-") as folder:

        def begin(environment: Mapping[str, str] | None = None, home: Path | None = None) -> Machine:
            machine = Machine(home or Path(folder, f"home-{len(machines)}"), environment)
            machines.append(machine)
            machine.up()
            prepare(machine)
            return machine

        yield begin
        for machine in machines:
            machine.end()


@pytest.fixture(scope="module")
def machine(start: Start) -> Machine:
    """A server with data to train on, shared by the tests of a module: each leaves it running."""
    return start()
