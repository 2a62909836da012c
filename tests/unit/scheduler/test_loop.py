"""The loop itself: real threads, real waiting, real records."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clary.clock import SystemClock
from clary.context import Platform
from clary.contract.instance import InstanceSpec
from clary.scheduler.loop import Loop, Reconciler
from clary.scheduler.outcomes import AgainIn, Done, Outcome
from clary.services.sagemaker import RECONCILERS
from clary.store import records
from clary.store.records import Changed, Record
from clary.testing.fake_compute import FakeCompute
from sagemaker_bench import Bench, training_job

PATIENCE = 20.0


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "home", clock=SystemClock())
    yield made
    made.close()


class Running:
    """A loop over one reconcile function, for kind "thing"."""

    def __init__(self, bench: Bench, reconcile: Callable[[Platform, Record], Outcome]) -> None:
        self.loop = Loop(bench.platform, {"thing": Reconciler(("On",), reconcile, "room")}, bench.signal)

    def __enter__(self) -> Loop:
        self.loop.start()
        return self.loop

    def __exit__(self, *_: object) -> None:
        self.loop.stop()


def add(bench: Bench, *names: str) -> None:
    for at, name in enumerate(names):
        thing = Record("thing", "", "", f"thing:{name}", name, "On", float(at), 0.0, {})
        bench.records.write(lambda connection, thing=thing: records.insert(connection, thing))


def test_a_wake_up_is_looked_at_at_once(bench: Bench) -> None:
    looks: list[str] = []
    looked = threading.Semaphore(0)

    def reconcile(_platform: Platform, record: Record) -> Outcome:
        looks.append(record.name or "")
        looked.release()
        return AgainIn(3600)

    add(bench, "a")
    with Running(bench, reconcile):
        assert looked.acquire(timeout=PATIENCE)
        add(bench, "b")
        bench.platform.wake()
        while not (looks.count("a") > 1 and "b" in looks):  # the new record may be looked at twice
            assert looked.acquire(timeout=PATIENCE)
    assert looks[0] == "a"


def test_a_failing_record_is_tried_again_and_hurts_nobody(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    fine, recovered = threading.Event(), threading.Event()
    tries: list[int] = []

    def reconcile(_platform: Platform, record: Record) -> Outcome:
        if record.name == "good":
            fine.set()
            return AgainIn(3600)
        tries.append(1)
        if len(tries) < 3:
            raise RuntimeError("broken on purpose")
        recovered.set()
        return AgainIn(3600)

    add(bench, "bad", "good")
    with Running(bench, reconcile):
        assert fine.wait(PATIENCE) and recovered.wait(PATIENCE)
    assert len(tries) == 3
    assert caplog.text.count("broken on purpose") >= 2 and "thing:bad" in caplog.text


def test_a_lost_race_is_no_error(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    again = threading.Event()
    tries: list[int] = []

    def reconcile(_platform: Platform, record: Record) -> Outcome:
        tries.append(1)
        if len(tries) == 1:
            raise Changed(record.arn)
        again.set()
        return AgainIn(3600)

    add(bench, "a")
    with Running(bench, reconcile):
        assert again.wait(PATIENCE)
    assert caplog.text == ""


def test_one_record_is_never_reconciled_twice_at_once(bench: Bench) -> None:
    inside = threading.Lock()
    enough, overlaps, looks = threading.Event(), [], []

    def reconcile(platform: Platform, record: Record) -> Outcome:
        if not inside.acquire(blocking=False):
            overlaps.append(record.arn)
            return AgainIn(0)
        platform.wake()
        looks.append(1)
        if len(looks) >= 20:
            enough.set()
        inside.release()
        return AgainIn(0)

    add(bench, "a")
    with Running(bench, reconcile):
        assert enough.wait(PATIENCE)
    assert overlaps == []


def test_a_queue_moves_up_when_something_ends(bench: Bench) -> None:
    """Three things, room for one: each gets its turn, in order, with nobody calling wake."""
    order: list[str] = []
    all_done, mutex = threading.Event(), threading.Lock()
    holder: list[str] = []

    def reconcile(platform: Platform, record: Record) -> Outcome:
        name = record.name or ""
        with mutex:
            if not holder:
                holder.append(name)
                return AgainIn(0.05)
            if holder != [name]:
                platform.stores.records.write(lambda connection: records.replace(connection, record, queue="room"))
                return AgainIn(math.inf)
            order.append(name)
        platform.stores.records.write(lambda connection: records.delete(connection, record))
        with mutex:
            holder.clear()
        if len(order) == 3:
            all_done.set()
        return Done()

    add(bench, "a", "b", "c")
    with Running(bench, reconcile):
        assert all_done.wait(PATIENCE)
    assert len(set(order)) == 3


def test_who_waited_long_enough_is_looked_at_before_its_turn(bench: Bench) -> None:
    looked = threading.Event()

    def reconcile(_platform: Platform, record: Record) -> Outcome:
        if record.name == "impatient":
            looked.set()
        return AgainIn(math.inf)

    now = bench.clock.now()
    for name, until in (("first", None), ("second", None), ("impatient", now + 0.05)):
        thing = Record("thing", "", "", f"thing:{name}", name, "On", 0.0, 0.0, {}, queue="room", until=until)
        bench.records.write(lambda connection, thing=thing: records.insert(connection, thing))
    with Running(bench, reconcile):
        assert looked.wait(PATIENCE)


def test_training_jobs_run_through_the_real_loop(bench: Bench) -> None:
    """Twelve jobs over two slots; never more than two at once."""
    most, over = [0], threading.Semaphore(0)

    def trains(compute: FakeCompute, spec: InstanceSpec) -> None:
        most[0] = max(most[0], len(compute.alive()))
        compute.phase(spec.id, "Training")
        threading.Timer(0.02, finish, (compute, spec.id)).start()

    def finish(compute: FakeCompute, instance: str) -> None:
        compute.exit(instance)
        over.release()

    bench.compute._script = trains
    loop = Loop(bench.platform, RECONCILERS, bench.signal)
    loop.start()
    for n in range(12):
        bench.call("CreateTrainingJob", **training_job(f"job-{n}"))
    assert all(over.acquire(timeout=PATIENCE) for _ in range(12))
    done = threading.Event()
    while bench.active() and not done.wait(0.01):
        pass
    loop.stop()
    assert {bench.job(f"job-{n}")["TrainingJobStatus"] for n in range(12)} == {"Completed"}
    assert most[0] <= 2 and set(bench.compute.runs.values()) == {1}
