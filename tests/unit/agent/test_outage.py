"""The control plane goes away and comes back; Clary is shut down."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from agent_world import World, world

COUNT = """
import time
print('up', flush=True)
while not (layout.input / 'go').exists(): time.sleep(0.01)
for number in range(500): print(number)
(layout.model / 'm').write_text('x')
"""


@pytest.fixture(scope="module")
def here() -> Iterator[World]:
    with world() as made:
        yield made


def _let_go(here: World, instance: str) -> None:
    (here.settings.instances / instance / "ml" / "input" / "go").write_text("")


def test_a_job_ends_while_the_control_plane_is_away_and_each_line_is_there_once(here: World) -> None:
    spec = here.spec(COUNT)
    here.compute.launch(spec)
    here.wait_line(spec.id, "up")
    here.stop_control()
    _let_go(here, spec.id)
    record = here.settings.instances / spec.id / "exit.json"
    here.wait(spec.id, lambda _: record.exists())
    here.start_control()
    seen = here.wait(spec.id, lambda seen: seen.state == "exited")
    assert seen.exit is not None and seen.exit.cause == "completed"
    assert here.lines(spec.id) == ["up", *map(str, range(500))]


def test_s3_is_away_while_the_job_ends(here: World) -> None:
    spec = here.spec(COUNT)
    here.compute.launch(spec)
    here.wait_line(spec.id, "up")
    here.s3.stop()
    _let_go(here, spec.id)
    here.wait(spec.id, lambda seen: any(each.name == "Uploading" for each in seen.phases))
    here.s3.start(here.port)
    seen = here.wait(spec.id, lambda seen: seen.state == "exited")
    assert seen.exit is not None and seen.exit.cause == "completed"


def test_a_stop_asked_during_an_outage_is_told_at_the_next_claim(here: World) -> None:
    spec = here.spec("import time; print('up', flush=True); time.sleep(600)")
    here.compute.launch(spec)
    here.wait_line(spec.id, "up")
    here.stop_control()
    here.compute.stop(spec.id)
    here.start_control()
    seen = here.wait(spec.id, lambda seen: seen.state == "exited")
    assert seen.exit is not None and seen.exit.cause == "stopped"


def test_shutdown_ends_the_sandbox_and_leaves_a_record(here: World) -> None:
    spec = here.spec("import time; print('up', flush=True); time.sleep(600)")
    here.compute.launch(spec)
    here.wait_line(spec.id, "up")
    here.stop_control()
    pid = here.agent_pid(spec.id)
    assert pid is not None
    os.kill(pid, signal.SIGTERM)
    here.wait(spec.id, lambda _: here.agent_pid(spec.id) is None)
    here.start_control()
    seen = here.wait(spec.id, lambda seen: seen.state == "exited")  # the pid file goes before the last of the process
    assert seen.exit is not None and seen.exit.cause == "lost"
    assert seen.exit.failure == "InternalServerError: Clary was shut down while this instance ran."
    here.compute.discard(spec.id)


def test_an_agent_with_a_wrong_token_is_refused_and_ends(here: World) -> None:
    import dataclasses

    from clary.compute import rows

    spec = here.spec("print('never')")
    other = dataclasses.replace(spec, token="other")
    here.records.write(lambda connection: rows.add(connection, other, 0.0))
    here.compute.launch(spec)
    here.wait(spec.id, lambda _: here.agent_pid(spec.id) is None)
    assert here.lines(spec.id) == []
