"""Images by AWS's name of a registry (ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME), as notebooks make and push it."""

from __future__ import annotations

import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from clary.sandbox.engine import Engine
from flows import container_images
from whole_server import ROOT, Done, WholeServer, wait_until

SCRIPT = ROOT / "examples" / "own_container" / "build_and_push.sh"
REGISTRY = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
COPY = 'set -e; skopeo copy --quiet "docker://$1:latest" "docker://$1:copy"; skopeo inspect --raw "docker://$1:copy"'

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def shell(server: WholeServer, tmp_path: Path) -> Callable[..., Done]:
    """shell(command...): through `clary run`, for a user who has done nothing yet."""
    user = {"HOME": str(tmp_path), "REGISTRY_AUTH_FILE": str(tmp_path / "auth.json")}

    def run(*command: str, **environment: str) -> Done:
        done = server.run_client("awscli", *command, timeout=200, **(user | environment))
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def podman() -> Engine:
    return container_images.working_engine()


@pytest.fixture
def name(podman: Engine) -> Iterator[str]:
    """Of a repository to which the role of `clary run` may push: AWS's policy for SageMaker asks for the word in it."""
    name = f"sagemaker-{uuid.uuid4().hex[:8]}"
    yield name
    for each in (f"localhost/{name}:latest", f"docker.io/library/{name}:latest", f"{REGISTRY}/{name}:latest"):
        podman.ask("rmi", "--force", "--ignore", each)


@pytest.fixture
def place() -> Iterator[Path]:
    """For what takes no long path: sockets, and a daemon's data."""
    with tempfile.TemporaryDirectory(prefix="oci-") as folder:
        yield Path(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "image").mkdir()
    return container_images.busybox_image(tmp_path / "image", {"train": "#!/bin/sh\n"})


@contextmanager
def serving(server: WholeServer, socket: Path, *command: str) -> Iterator[str]:
    """A service of Docker's API that was started by `clary run`; what DOCKER_HOST is for it."""
    log = socket.with_suffix(".log")
    words = [*server.command, "run", "--", *command]
    with log.open("wb") as file, subprocess.Popen(words, env=server.environment, stdout=file, stderr=file) as process:
        try:
            wait_until(lambda: socket.exists() or process.poll() is not None, 60)
            assert process.poll() is None, log.read_text()
            yield f"unix://{socket}"
        finally:
            process.terminate()


def pushed(server: WholeServer, name: str) -> Sequence[str]:
    """The tags of the one image in a repository."""
    (image,) = server.client("ecr").describe_images(repositoryName=name)["imageDetails"]
    return sorted(image["imageTags"])


def test_podman_and_skopeo(
    server: WholeServer, podman: Engine, shell: Callable[..., Done], name: str, folder: Path
) -> None:
    container_images.program("skopeo")
    uri = f"{REGISTRY}/{name}"
    assert shell("aws", "configure", "get", "region").stdout == "us-east-1\n"  # scripts make names of it
    assert f"pushed {uri}:latest" in shell("sh", str(SCRIPT), name, str(folder), ENGINE=podman.command[0]).stdout
    manifest = shell("sh", "-c", COPY, "copy", uri).stdout
    assert "application/vnd.oci.image.config.v1+json" in manifest
    assert pushed(server, name) == ["copy", "latest"]
    podman.ask("rmi", "--force", f"{uri}:latest", f"localhost/{name}:latest")
    identity = shell(podman.command[0], "pull", "--quiet", f"{uri}:copy").stdout.strip()
    assert identity in manifest
    podman.ask("rmi", "--force", identity)


@pytest.mark.slow
def test_docker_s_client_and_podman_s_service(
    server: WholeServer, podman: Engine, shell: Callable[..., Done], name: str, folder: Path, place: Path
) -> None:
    docker = container_images.program("docker")
    uri = f"{REGISTRY}/{name}:latest"
    with serving(server, place / "s", *podman.command, "system", "service", "--time=0", f"unix://{place}/s") as host:
        assert f"pushed {uri}" in shell("sh", str(SCRIPT), name, str(folder), DOCKER_HOST=host).stdout
        assert pushed(server, name) == ["latest"]
        shell(docker, "rmi", uri, name, DOCKER_HOST=host)
        assert uri in shell(docker, "pull", uri, DOCKER_HOST=host).stdout


@pytest.mark.slow
def test_docker(server: WholeServer, shell: Callable[..., Done], name: str, folder: Path, place: Path) -> None:
    """Its own daemon, with a place and a network of its own."""
    docker, daemon = container_images.program("docker"), container_images.program("dockerd")
    uri, socket = f"{REGISTRY}/{name}:latest", place / "s"
    places = ["--data-root", str(place / "data"), "--exec-root", str(place / "run"), "--pidfile", str(place / "pid")]
    apart = ["--bridge=none", "--iptables=false", "--ip6tables=false", "--storage-driver=vfs"]
    with serving(server, socket, daemon, "--host", f"unix://{socket}", *places, *apart) as host:
        assert f"pushed {uri}" in shell("sh", str(SCRIPT), name, str(folder), DOCKER_HOST=host).stdout
        assert pushed(server, name) == ["latest"]
        shell(docker, "rmi", uri, name, DOCKER_HOST=host)
        assert shell(docker, "run", "--rm", uri, "echo", "pulled", DOCKER_HOST=host).stdout == "pulled\n"
