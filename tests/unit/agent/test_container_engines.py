"""What an agent makes of an engine's words about a container, by a program in the engine's place."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from clary.agent.cell import Cell, Request
from clary.agent.container import ContainerPreparation
from clary.agent.failures import InternalFailure
from clary.contract.folder import InstanceFolder
from clary.contract.instance import Image, InstanceSpec
from clary.contract.processes import start_ticks
from clary.sandbox import Confinement, monitors

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="the tests run as an ordinary user already"),
    pytest.mark.timeout(60),
]


@contextmanager
def told(engine: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cell]:
    """The cell of a container that an engine was asked for, which has done this then."""
    program = folder / "programs" / "podman"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\ncase "$*" in *"run --detach"*) {engine};; *) exit 1;; esac\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    (folder / "ml" / "output").mkdir(parents=True)
    names = dict.fromkeys(("id", "job_name", "job_arn", "account", "region", "role_arn", "token"), "x")
    link, image = str(folder / "agents.sock"), Image("container", "x", "", "", container="x")
    spec = InstanceSpec(purpose="training", image=image, log_group="g", log_stream="s", link=link, **names)
    request = Request("", Confinement("namespaces", str(folder / "ml"), ""), {})
    cell = ContainerPreparation(spec, InstanceFolder(folder), request, ExitStack()).cell()
    try:
        cell.release()
        assert select.select([cell.control], [], [], 30)[0]
        yield cell
    finally:
        cell.destroy()
        cell.close()


def test_nothing_is_written_where_a_container_may_have_laid_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that the engine has begun, and then could not note."""
    other, failure = tmp_path / "other", tmp_path / "ml" / "output" / "failure"
    other.write_text("precious")
    begun = f"echo 1 > {tmp_path}/container.pid; ln -s {other} {failure}; exit 125"
    with told(begun, tmp_path, monkeypatch) as cell:
        cell.hear()
        assert (cell.ended, cell.status) == (True, 125)
    assert other.read_text() == "precious"


def test_a_process_that_has_the_number_of_a_container_that_has_ended_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen(["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE, text=True) as above:
        assert above.stdout is not None
        other = int(above.stdout.readline())
        with told(f"echo {other} > {tmp_path}/container.pid", tmp_path, monkeypatch) as cell:
            with pytest.raises(InternalFailure, match="it is not known how"):
                cell.hear()
            cell.destroy()
            assert start_ticks(other) is not None
        os.kill(other, 9)


def test_a_job_s_process_is_no_monitor_whatever_it_calls_itself() -> None:
    """Each of them would be waited for."""
    words = ["conmon", "-c", "echo here; read line", "clary-x-1"]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, executable="/bin/sh", user=65534, stdin=pipe, stdout=pipe) as forged:
        assert forged.stdout is not None
        assert forged.stdout.readline() == b"here\n"
        monitors.end("clary-x-1")
        forged.communicate(b"\n")
    assert forged.returncode == 0
