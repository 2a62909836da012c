"""What is left of a container when one of those around it is killed: nothing, and it has run once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clary.contract.folder import InstanceFolder, container_name
from clary.contract.processes import running, start_ticks
from clary.sandbox.engine import Engine
from flows import jobs
from flows.own_images import containers, logged, start
from whole_server import WholeServer, wait_until, whole_server

WAITING = [
    "sh",
    "-c",
    "echo waiting; until [ -e /opt/ml/output/go ]; do sleep 0.05; done; echo trained > /opt/ml/model/m",
]
FAILING = ["sh", "-c", f"{WAITING[2]}; exit 7"]
REASON = {"Completed": "", "Failed": "exit code: 7"}
# It takes what memory it is given.
GREEDY = ["sh", "-c", f"{WAITING[2]}; exec awk 'BEGIN {{ s = \"x\"; while (1) s = s s }}'"]

pytestmark = pytest.mark.timeout(300)


class Started:
    """A job in a container that waits for `go`."""

    def __init__(self, server: WholeServer, image: str, command: list[str] = WAITING) -> None:
        self.server = server
        self.name = start(server, image, ContainerEntrypoint=command)
        wait_until(lambda: "waiting" in logged(server, self.name), 60)
        (self.pid_file,) = server.settings.run.glob(f"agent-{self.name}-*.pid")
        self.instance = self.pid_file.stem.removeprefix("agent-")
        self.folder = InstanceFolder(server.settings.instances / self.instance)
        agent = running(self.pid_file)
        assert agent is not None
        self.agent = agent
        self.first = int((self.folder.path / "container.pid").read_text())
        self.monitor = int((self.folder.path / "monitor.pid").read_text())
        (self.guard,) = guards(agent)

    def go(self) -> None:
        (self.folder.base / "output/go").touch()

    def is_gone(self, podman: Engine) -> bool:
        """The container with its processes, and what the server keeps of it."""
        left = start_ticks(self.first) or processes_about(self.instance) or containers(podman, self.name)
        return not (left or self.folder.path.exists())


def processes() -> list[int]:
    return [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()]


def parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def arguments(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return []


def guards(agent: int) -> list[int]:
    return [pid for pid in processes() if parent(pid) == agent and arguments(pid)[:1] == ["/bin/sh"]]


def processes_about(instance: str) -> dict[int, str]:
    """Of the engine and its monitor: pid -> program."""
    found = {pid: arguments(pid) for pid in processes()}
    return {pid: Path(given[0]).name for pid, given in found.items() if container_name(instance) in given}


def kill(*pids: int) -> None:
    for each in pids:
        os.kill(each, signal.SIGKILL)


def test_a_container_ends_with_its_agent(server: WholeServer, podman: Engine, built: str) -> None:
    job = Started(server, built)
    (ids,) = [each for each in Path(f"/proc/{job.first}/status").read_text().splitlines() if each.startswith("Uid:")]
    assert int(ids.split()[1]) >= 1 << 30  # root inside is nobody outside
    kill(job.agent)
    assert "was lost" in jobs.ended(server, job.name)["FailureReason"]
    wait_until(lambda: job.is_gone(podman), 60)


@pytest.mark.slow
def test_the_server_ends_what_nobody_guards(server: WholeServer, podman: Engine, built: str) -> None:
    job = Started(server, built)
    kill(job.guard, job.agent)
    assert "was lost" in jobs.ended(server, job.name)["FailureReason"]
    wait_until(lambda: job.is_gone(podman), 60)


def test_a_killed_guard_is_replaced(server: WholeServer, podman: Engine, built: str) -> None:
    job = Started(server, built)
    kill(job.guard)
    wait_until(lambda: [pid for pid in guards(job.agent) if pid != job.guard], 60)
    job.go()
    assert jobs.ended(server, job.name)["TrainingJobStatus"] == "Completed"
    wait_until(lambda: job.is_gone(podman), 60)


@pytest.mark.slow
@pytest.mark.parametrize(("command", "status"), [(WAITING, "Completed"), (FAILING, "Failed")])
def test_a_job_goes_on_when_the_engine_s_monitor_is_killed(
    server: WholeServer, podman: Engine, built: str, command: list[str], status: str
) -> None:
    job = Started(server, built, command)
    kill(job.monitor)
    job.go()
    done = jobs.ended(server, job.name)
    assert (done["TrainingJobStatus"], done.get("FailureReason", "")[-12:]) == (status, REASON[status])
    wait_until(lambda: job.is_gone(podman), 60)


def caught(server: WholeServer, image: str) -> tuple[str, str, list[int]]:
    """A job, its instance, and the engine that makes its container: none where that was done sooner than one looked."""
    job = start(server, image, ContainerEntrypoint=["sleep", "600"])
    instance = wait_until(lambda: next((each.name for each in server.settings.instances.glob(f"{job}-*")), ""), 60)
    about = wait_until(lambda: processes_about(instance), 60)
    return job, instance, [pid for pid, name in about.items() if name == "podman"]


def test_the_engine_is_killed_while_it_makes_a_container(server: WholeServer, podman: Engine, built: str) -> None:
    job, instance, engines = caught(server, built)
    for _ in range(4):
        if engines:
            break
        server.client("sagemaker").stop_training_job(TrainingJobName=job)
        job, instance, engines = caught(server, built)
    kill(*engines)
    reason = jobs.ended(server, job)["FailureReason"]
    assert reason.startswith("InternalServerError: The container engine was killed")
    wait_until(lambda: not processes_about(instance) and not containers(podman, job), 60)


@pytest.fixture
def own_server() -> Iterator[WholeServer]:
    with whole_server() as made:
        yield made


@pytest.mark.slow
def test_nothing_runs_twice_or_is_left_when_all_are_killed(own_server: WholeServer, podman: Engine, built: str) -> None:
    job = Started(own_server, built)
    pid_files = sorted(own_server.settings.run.glob("*.pid"), key=lambda each: each.stem != "supervisor")
    kill(job.guard, *(pid for each in pid_files if (pid := running(each)) is not None))
    assert start_ticks(job.first)  # nobody was there to end it
    own_server.up()
    assert "was lost" in jobs.ended(own_server, job.name)["FailureReason"]
    wait_until(lambda: job.is_gone(podman), 60)
    assert logged(own_server, job.name).count("waiting") == 1


def _exceed(job: Started) -> None:
    """Its bound is made smaller than what it already has any use for, from outside."""
    groups = Path(f"/proc/{job.first}/cgroup").read_text().splitlines()
    for line in groups:
        _, controllers, path = line.split(":", 2)
        version_1 = "memory" in controllers.split(",")
        if version_1 or not controllers:
            folder = Path("/sys/fs/cgroup", *(["memory"] if version_1 else []), path.lstrip("/"))
            file = folder / ("memory.limit_in_bytes" if version_1 else "memory.max")
            if file.exists():
                file.write_text(str(64 << 20))
    job.go()


@pytest.mark.parametrize(
    ("end", "told"),
    [(_exceed, "AlgorithmError: Out of memory"), (lambda job: kill(job.first), "AlgorithmError: , exit code: 137")],
)
def test_out_of_memory_is_told_where_it_was_the_reason(
    server: WholeServer, built: str, end: Callable[[Started], None], told: str
) -> None:
    job = Started(server, built, GREEDY)
    end(job)
    assert jobs.ended(server, job.name)["FailureReason"].startswith(told)
