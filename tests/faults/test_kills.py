"""kill -9 of the whole server or of one of its processes, at any moment of a job's or an endpoint's life."""

from __future__ import annotations

import random
import time

import pytest

from . import work
from .machine import SERVER, Machine, lives, wait_for

ROUNDS = 1500  # a second or so of lines


def test_killed_at_each_secondary_status(machine: Machine) -> None:
    work.train(machine, "steps", ROUNDS)
    for status in ("Starting", "Downloading", "Training", "Uploading"):
        if work.reached(machine, "steps", status) == status:
            machine.kill_server()
            machine.up()
    work.ended(machine, "steps")
    work.check_whole(machine, "steps", ROUNDS)
    wait_for(lambda: machine.instances() == [], "the instance's folder to be discarded")


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 20))])
def test_killed_at_random_moments(machine: Machine, seed: int) -> None:
    moments = random.Random(seed)
    name = f"random-{seed}"
    work.train(machine, name, ROUNDS)
    for _ in range(2):
        time.sleep(moments.uniform(0, 0.8))  # the moment is what is tried here, not a condition
        machine.kill_server()
        machine.up()
    work.ended(machine, name)
    work.check_whole(machine, name, ROUNDS)


def test_the_next_server_may_have_another_port(machine: Machine) -> None:
    work.train(machine, "moved", ROUNDS)
    work.reached(machine, "moved", "Training")
    machine.kill_server()
    before = machine.url
    machine.port = 0
    machine.up()
    assert machine.url != before
    work.ended(machine, "moved")
    work.check_whole(machine, "moved", ROUNDS)


@pytest.mark.parametrize("name", ["control", "edge-0", "launcher"])
def test_one_process_is_killed(machine: Machine, name: str) -> None:
    job, following = f"without-{name}", f"after-{name}"
    work.train(machine, job, ROUNDS)
    work.reached(machine, job, "Training")
    before = machine.pid(name)
    machine.kill(name)
    work.ended(machine, job)
    work.check_whole(machine, job, ROUNDS)
    wait_for(lambda: machine.pid(name) not in (None, before), f"the next {name}")
    work.train(machine, following)
    assert work.ended(machine, following)["TrainingJobStatus"] == "Completed"


def test_agent_is_killed(machine: Machine) -> None:
    work.train(machine, "orphan", 100_000)
    work.reached(machine, "orphan", "Training")
    (agent,) = machine.names("agent-orphan")
    groups = machine.groups()
    machine.kill(agent)
    described = work.ended(machine, "orphan")
    assert described["TrainingJobStatus"] == "Failed"
    assert described["FailureReason"].startswith("InternalServerError: algo-1 was lost")
    wait_for(lambda: machine.instances() == [], "the instance's folder to be discarded")
    assert [path for path in groups if path.exists()] == []


def test_fork_server_is_killed(machine: Machine) -> None:
    work.train(machine, "forked", ROUNDS)
    work.reached(machine, "forked", "Training")
    (fork_server,) = machine.names("fork-")
    machine.kill(fork_server)
    work.train(machine, "next")
    assert work.ended(machine, "next")["TrainingJobStatus"] == "Completed"
    work.ended(machine, "forked")
    work.check_whole(machine, "forked", ROUNDS)


@pytest.fixture(scope="module")
def serving(machine: Machine) -> str:
    """The name of an endpoint in service."""
    work.train(machine, "model")
    work.serve(machine, "e", work.ended(machine, "model")["ModelArtifacts"]["S3ModelArtifacts"])
    assert work.settled(machine, "e")["EndpointStatus"] == "InService"
    return "e"


def test_endpoint_outlives_its_server(machine: Machine, serving: str) -> None:
    answer = work.invoke(machine, serving)
    (agent,) = machine.names("agent-e-")
    before = machine.pid(agent)
    machine.kill_server()
    machine.up()
    assert work.invoke(machine, serving) == answer
    assert machine.pid(agent) == before
    machine.kill("control")
    assert all(work.invoke(machine, serving, retries=False) == answer for _ in range(200))
    machine.kill(agent)
    wait_for(lambda: machine.names("agent-e-") not in ([], [agent]), "another instance")
    wait_for(work.answers(machine, serving), "its first answer")


def test_shut_down_with_work_under_way(machine: Machine, serving: str) -> None:
    work.train(machine, "cut", 100_000)
    work.reached(machine, "cut", "Training")
    files = machine.pids()
    assert len(files) >= len(SERVER) + 3
    groups = machine.groups()
    machine.down()
    assert machine.running_instances() == []
    assert [pid for pid in files if lives(pid)] == []
    assert [path for path in groups if path.exists()] == []
    machine.up()
    described = work.ended(machine, "cut")
    assert described["TrainingJobStatus"] == "Failed"
    assert described["FailureReason"] == "InternalServerError: Clary was shut down while this instance ran."
    wait_for(work.answers(machine, serving), "the endpoint's next instance")
    assert work.endpoint(machine, serving)["EndpointStatus"] == "InService"
