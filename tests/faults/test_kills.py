"""kill -9 of the whole server or of one of its processes, at any moment of a job's or an endpoint's life."""

from __future__ import annotations

import random
import time

import pytest

from . import work
from .machine import SERVER, Machine, wait_for

ROUNDS = 1500  # a second or so of lines


def test_killed_at_each_secondary_status(machine: Machine) -> None:
    work.train(machine, "job", ROUNDS)
    for status in ("Starting", "Downloading", "Training", "Uploading"):
        if work.reached(machine, "job", status) == status:
            machine.kill_server()
            machine.up()
    work.ended(machine, "job")
    work.check_whole(machine, "job", ROUNDS)
    assert machine.running_instances() == []


@pytest.mark.parametrize("seed", [*range(2), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 20))])
def test_killed_at_random_moments(machine: Machine, seed: int) -> None:
    moments = random.Random(seed)
    work.train(machine, "job", ROUNDS)
    for _ in range(3):
        time.sleep(moments.uniform(0, 0.8))  # the moment is what is tried here, not a condition
        machine.kill_server()
        machine.up()
    work.ended(machine, "job")
    work.check_whole(machine, "job", ROUNDS)


@pytest.mark.parametrize("name", ["control", "edge-0", "launcher"])
def test_one_process_is_killed(machine: Machine, name: str) -> None:
    work.train(machine, "job", ROUNDS)
    work.reached(machine, "job", "Training")
    before = machine.pid(name)
    machine.kill(name)
    work.ended(machine, "job")
    work.check_whole(machine, "job", ROUNDS)
    wait_for(lambda: machine.pid(name) not in (None, before), f"the next {name}")
    work.train(machine, "next")
    assert work.ended(machine, "next")["TrainingJobStatus"] == "Completed"


def test_agent_is_killed(machine: Machine) -> None:
    work.train(machine, "job", 100_000)
    work.reached(machine, "job", "Training")
    (agent,) = machine.names("agent-")
    machine.kill(agent)
    described = work.ended(machine, "job")
    assert described["TrainingJobStatus"] == "Failed"
    assert described["FailureReason"].startswith("InternalServerError: algo-1 was lost")
    work.train(machine, "next")
    assert work.ended(machine, "next")["TrainingJobStatus"] == "Completed"


def test_fork_server_is_killed(machine: Machine) -> None:
    work.train(machine, "job", ROUNDS)
    work.reached(machine, "job", "Training")
    (fork_server,) = machine.names("fork-")
    machine.kill(fork_server)
    work.train(machine, "next")
    assert work.ended(machine, "next")["TrainingJobStatus"] == "Completed"
    work.ended(machine, "job")
    work.check_whole(machine, "job", ROUNDS)


def test_endpoint_outlives_its_server(machine: Machine) -> None:
    work.train(machine, "job")
    work.serve(machine, "e", work.ended(machine, "job")["ModelArtifacts"]["S3ModelArtifacts"])
    assert work.settled(machine, "e")["EndpointStatus"] == "InService"
    answer = work.invoke(machine, "e")
    agents = {name: machine.pid(name) for name in machine.names("agent-")}
    machine.kill_server()
    machine.up()
    assert work.invoke(machine, "e") == answer
    assert {name: machine.pid(name) for name in machine.names("agent-")} == agents
    machine.kill("control")
    assert all(work.invoke(machine, "e", retries=False) == answer for _ in range(200))
    (agent,) = agents
    machine.kill(agent)
    wait_for(lambda: machine.names("agent-") not in ([], [agent]), "another instance")
    wait_for(work.answers(machine, "e"), "its first answer")


def test_shut_down_with_work_under_way(machine: Machine) -> None:
    work.train(machine, "first")
    work.serve(machine, "e", work.ended(machine, "first")["ModelArtifacts"]["S3ModelArtifacts"])
    assert work.settled(machine, "e")["EndpointStatus"] == "InService"
    work.train(machine, "job", 100_000)
    work.reached(machine, "job", "Training")
    pids = [machine.pid(name) for name in machine.names()]
    assert len(pids) >= len(SERVER) + 3
    machine.down()
    assert machine.names() == [] and machine.running_instances() == []
    machine.up()
    described = work.ended(machine, "job")
    assert described["TrainingJobStatus"] == "Failed"
    assert described["FailureReason"] == "InternalServerError: Clary was shut down while this instance ran."
    wait_for(work.answers(machine, "e"), "the endpoint's next instance")
    assert work.endpoint(machine, "e")["EndpointStatus"] == "InService"
