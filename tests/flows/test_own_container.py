"""The example of a container of one's own: built, pushed, trained, deployed and asked by its story."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from clary.sandbox.engine import Engine, EngineError
from flows import container_images
from whole_server import ROOT, WholeServer, client_programs

EXAMPLE = ROOT / "examples" / "own_container"
NAME = "sagemaker-flowers"
BASE = "docker.io/library/debian:bookworm-slim"  # the Dockerfile's own
MADE = "localhost/clary-test-debian:bookworm"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def podman() -> Iterator[Engine]:
    engine = container_images.working_engine()
    yield engine
    left = engine.ask("images", "--quiet", "--filter", f"reference=*{NAME}*").split()
    if left:
        engine.ask("rmi", "--force", "--ignore", *set(left))


@pytest.fixture
def base(podman: Engine, tmp_path: Path) -> str:
    """What the image is built upon. It stays in the engine, where later runs find it. Where no registry is reached, it
    is made of Debian's packages."""
    for name in (BASE, MADE):
        if name in podman.ask("images", "--format", "{{.Repository}}:{{.Tag}}").split():
            return name
    try:
        podman.fetch("pull", "--quiet", BASE)
        return BASE
    except EngineError as unreached:
        packed = str(tmp_path / "debian.tar")
        making = [container_images.program("mmdebstrap"), "--quiet", "--variant=apt", "bookworm", packed]
        made = subprocess.run(making, capture_output=True, text=True, timeout=400)
        if made.returncode:
            pytest.skip(f"no Debian can be had here: {unreached}; {made.stderr.strip()[-500:]}")
        podman.fetch("import", "--quiet", packed, MADE)
        return MADE


def test_the_story(server: WholeServer, podman: Engine, base: str, tmp_path: Path) -> None:
    options = ["--build-arg", f"BASE={base}", "--network", "host"]
    done = server.run_client(
        *("sdk2", "python", str(EXAMPLE / "story.py"), *options),
        timeout=800,
        PATH=f"{client_programs('sdk2')}:{client_programs('awscli')}:{os.environ['PATH']}",
        ENGINE=podman.command[0],
        HOME=str(tmp_path),
        REGISTRY_AUTH_FILE=str(tmp_path / "auth.json"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"pushed 123456789012.dkr.ecr.us-east-1.amazonaws.com/{NAME}:latest" in done.stdout
    assert "epoch 2000: accuracy=" in done.stdout
    right = re.search(r"(\d+) of 300 are right", done.stdout)
    assert right and int(right[1]) > 250, done.stdout
    assert server.client("sagemaker").list_endpoints(NameContains=NAME)["Endpoints"] == []
