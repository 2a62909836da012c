"""Every rung that this machine has, as the user who runs the tests and, where that is root, as an ordinary user too."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clary.sandbox import IsolationError, choose, limits, probe
from clary.testing.sandbox_conformance import EscapeProbes, Jail, SandboxConformance

NOBODY = 65534
SYSTEM_PYTHON = "/usr/bin/python3"


def _ordinary(folder: Path) -> Jail:
    """As an unprivileged user, with the system's Python: the tests' own may lie where that user cannot read."""
    if os.geteuid() != 0:
        pytest.skip("the tests run as an ordinary user already")
    asked = "import sys; print(sys.version_info >= (3, 11))"
    found = Path(SYSTEM_PYTHON).exists() and subprocess.run(
        [SYSTEM_PYTHON, "-c", asked], capture_output=True, text=True
    )
    if not found or found.stdout.strip() != "True":
        pytest.skip(f"{SYSTEM_PYTHON} is not Python 3.11 or later")
    return Jail(folder, "namespaces", SYSTEM_PYTHON, ("/usr",), user=NOBODY)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="clary-j-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


class TestPlain(SandboxConformance):
    @pytest.fixture
    def jail(self, folder: Path) -> Jail:
        return Jail(folder, "plain")


class TestNamespaces(SandboxConformance, EscapeProbes):
    @pytest.fixture(params=["own", "ordinary"])
    def jail(self, folder: Path, request: pytest.FixtureRequest) -> Jail:
        isolation = probe()
        if isolation.rung != "namespaces":
            pytest.skip(f"no namespaces here: {isolation.reason}")
        return Jail(folder, "namespaces") if request.param == "own" else _ordinary(folder)


def test_the_probe_says_what_it_found() -> None:
    isolation = probe()
    assert {each.name for each in isolation.facts} >= {"namespaces", "memory"}
    assert all(each.words.endswith(".") for each in isolation.facts)
    assert choose("auto", isolation) == isolation.rung
    assert choose("plain", isolation) == "plain"
    with pytest.raises(IsolationError, match="not one of"):
        choose("strong", isolation)


def test_a_memory_group_ends_what_exceeds_it(folder: Path) -> None:
    group = limits.make_group(f"test-{os.getpid()}", 128 << 20)
    if not group.limits_memory:
        group.remove()
        pytest.skip("no cgroup can be written here")
    outcome = Jail(folder, "plain").run("x = bytearray(512 << 20); print(len(x))", cgroups=group.paths)
    assert outcome.status == 137
    assert group.was_out_of_memory()
    group.remove()
    assert not any(Path(each).exists() for each in group.paths)
