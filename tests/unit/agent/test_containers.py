"""What an agent refuses before it asks the container engine for anything."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from clary.agent.cell import Request
from clary.agent.container import ContainerPreparation
from clary.agent.container_words import by_environment
from clary.agent.failures import ClientFailure
from clary.agent.guard import Guard
from clary.contract.folder import InstanceFolder
from clary.contract.instance import Image, InstanceSpec
from clary.sandbox import Confinement


@pytest.mark.skipif(os.geteuid() != 0, reason="the tests run as an ordinary user already")
@pytest.mark.parametrize("port", ["http", "0", "65536", "-1", "²"])
def test_a_port_that_is_none_is_the_client_s_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, port: str
) -> None:
    (tmp_path / "podman").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    names = dict.fromkeys(("id", "job_name", "job_arn", "account", "region", "role_arn", "token"), "x")
    link, image = str(tmp_path / "agents.sock"), Image("container", "x", "", "", container="x")
    spec = InstanceSpec(purpose="serving", image=image, log_group="g", log_stream="s", link=link, **names)
    request = Request("", Confinement("namespaces", str(tmp_path), ""), {"SAGEMAKER_BIND_TO_PORT": port})
    with pytest.raises(ClientFailure, match="which is no port"):
        ContainerPreparation(spec, InstanceFolder(tmp_path), request, ExitStack()).cell()


@pytest.mark.parametrize(
    "name", ["PATH", "LD_PRELOAD", "CONTAINERS_CONF", "XDG_RUNTIME_DIR", "TMPDIR", "BASH_ENV", "OPTIND", "GCONV_PATH"]
)
def test_the_engine_takes_nothing_of_the_environment_for_its_own(name: str) -> None:
    with pytest.raises(ClientFailure, match=f"The value of {name} in the Environment has several lines"):
        by_environment({name: "/tmp\n/usr/bin", "OTHER": "one\ntwo"})
    assert by_environment({name: "/tmp", "OTHER": "one\ntwo"}) == {"OTHER": "one\ntwo"}


@pytest.mark.parametrize("name", ["status", "opened", "said", "each", "make"])
def test_a_variable_of_several_lines_comes_to_the_engine_as_it_is(tmp_path: Path, name: str) -> None:
    """By the guard, a shell with variables of its own."""
    given = by_environment({name: "one\ntwo"})
    found = tmp_path / "found"
    make = ["sh", "-c", f'printf %s "${name}" > {found}']
    guard = Guard(make, ["true"], tmp_path / "mark", {**os.environ, **given})
    guard.begin()
    assert guard.hear() == 0
    assert found.read_text() == "one\ntwo"
    guard.let_go()
    guard.wait()


def test_a_zero_byte_is_refused() -> None:
    with pytest.raises(ClientFailure, match="has a zero byte"):
        by_environment({"NAME": "a\0b"})
