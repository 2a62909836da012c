"""The programs that people push and pull with, unmodified."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.ecr.conftest import token_of
from whole_server import WholeServer

FILES = {"etc/motd": b"hello from an image\n", "data/large": bytes(range(256)) * 20_000}


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """An image as a folder of OCI's layout."""
    place = tmp_path / "layout"
    blobs = place / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def write(data: bytes, **more: Any) -> dict[str, Any]:
        name = hashlib.sha256(data).hexdigest()
        (blobs / name).write_bytes(data)
        return {"digest": f"sha256:{name}", "size": len(data), **more}

    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in FILES.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    diff = f"sha256:{hashlib.sha256(packed.getvalue()).hexdigest()}"
    layer = write(gzip.compress(packed.getvalue()), mediaType="application/vnd.oci.image.layer.v1.tar+gzip")
    rootfs = {"type": "layers", "diff_ids": [diff]}
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}).encode()
    described = write(config, mediaType="application/vnd.oci.image.config.v1+json")
    kind = "application/vnd.oci.image.manifest.v1+json"
    text = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": described, "layers": [layer]}).encode()
    manifest = write(text, mediaType=kind, annotations={"org.opencontainers.image.ref.name": "v1"})
    (place / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
    (place / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return place


class Engine:
    """skopeo or podman, with credentials and storage of its own."""

    def __init__(self, program: str, folder: Path) -> None:
        if shutil.which(program) is None:
            pytest.skip(f"no {program} on this machine")
        self.program = program
        self.policy = folder / "policy.json"
        self.policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        self.login_file = str(folder / "auth.json")
        self.storage = ["--root", str(folder / "storage"), "--runroot", str(folder / "run"), "--storage-driver", "vfs"]

    def run(self, *words: str, given: str = "") -> str:
        done = subprocess.run([self.program, *words], input=given, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def login(self, server: WholeServer, password: str) -> None:
        """As `aws ecr get-login-password | podman login --username AWS --password-stdin HOST:PORT`."""
        words = ["--authfile", self.login_file, "--tls-verify=false", "--username", "AWS", "--password-stdin"]
        self.run("login", *words, f"127.0.0.1:{server.port}", given=password)


def password_of(ecr: Any) -> str:
    return base64.b64decode(token_of(ecr)).decode().partition(":")[2]


def test_skopeo_copies_there_and_back(
    server: WholeServer, ecr: Any, repository: str, layout: Path, tmp_path: Path
) -> None:
    skopeo = Engine("skopeo", tmp_path)
    skopeo.login(server, password_of(ecr))
    there = f"docker://127.0.0.1:{server.port}/{repository}"
    words = ["--policy", str(skopeo.policy), "copy", "--authfile", skopeo.login_file]
    skopeo.run(*words, "--dest-tls-verify=false", f"oci:{layout}:v1", f"{there}:v1")
    skopeo.run(*words, "--dest-tls-verify=false", "--src-tls-verify=false", f"{there}:v1", f"{there}:v2")
    back = tmp_path / "back"
    skopeo.run(*words, "--src-tls-verify=false", f"{there}:v2", f"oci:{back}:v1")
    names = [
        {each.name: each.read_bytes() for each in (place / "blobs" / "sha256").iterdir()} for place in (layout, back)
    ]
    assert names[0] == names[1]
    reading = ["--authfile", skopeo.login_file, "--tls-verify=false"]
    assert json.loads(skopeo.run("inspect", *reading, f"{there}:v2"))["RepoTags"] == ["v1", "v2"]
    skopeo.run("delete", *reading, f"{there}:v1")
    assert ecr.list_images(repositoryName=repository)["imageIds"] == []


@pytest.fixture
def place() -> Iterator[Path]:
    """podman takes no long path."""
    with tempfile.TemporaryDirectory(prefix="oci-") as folder:
        yield Path(folder)


def test_podman_pushes_and_pulls(server: WholeServer, ecr: Any, repository: str, layout: Path, place: Path) -> None:
    engine = Engine("podman", place)
    engine.login(server, password_of(ecr))
    name = f"127.0.0.1:{server.port}/{repository}:pushed"
    registry = ["--authfile", engine.login_file, "--tls-verify=false"]
    identity = engine.run(*engine.storage, "pull", "-q", f"oci:{layout}:v1").strip()
    engine.run(*engine.storage, "push", "-q", *registry, identity, name)
    engine.run(*engine.storage, "rmi", "-f", identity)
    assert engine.run(*engine.storage, "pull", "-q", *registry, name).strip() == identity
    (image,) = ecr.describe_images(repositoryName=repository)["imageDetails"]
    assert image["imageTags"] == ["pushed"]
