"""Tags that move under running endpoints: folders that stand for images, and containers of a repository."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest

from api.access.people import unique
from api.ecr.conftest import token_of
from api.ecr.registry import CONFIG, OCI_IMAGE, Registry, descriptor, digest
from clary.sandbox import engine
from clary.sandbox.engine import EngineError, NoEngine
from flows import jobs
from whole_server import WholeServer, wait_until, whole_server

SERVE = """
import http.server, os, pathlib, signal
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def do_POST(self):
        answer = pathlib.Path("answer").read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
    def log_message(self, *_):
        pass
port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
http.server.ThreadingHTTPServer(("0.0.0.0", port), Answer).serve_forever()
"""
SHELL = "#!/bin/busybox sh\n"
CONTAINER = {
    "serve": f"{SHELL}trap exit TERM\nbusybox nc -ll -p 8080 -e /opt/program/respond &\nwait\n",
    "respond": f"""{SHELL}read -r method path rest
while read -r line && [ "${{#line}}" -gt 1 ]; do :; done
text=$(busybox cat /opt/program/answer)
printf 'HTTP/1.1 200 OK\\r\\nContent-Length: %s\\r\\nConnection: close\\r\\n\\r\\n%s' ${{#text}} "$text"
""",
}

pytestmark = pytest.mark.timeout(300)  # the first test may have to build an environment


class Tag(Protocol):
    """An image's name, behind which `move` puts a server of its own that answers with a text."""

    uri: str

    def move(self, answer: str) -> None: ...


class Folder:
    uri = "team/moving:1"

    def __init__(self, server: WholeServer, folder: Path) -> None:
        self._server = server
        self._folder = folder
        (folder / "serve.py").write_text(SERVE)

    def move(self, answer: str) -> None:
        (self._folder / "answer").write_text(answer)
        self._server.ask("images", "register", self.uri, str(self._folder))


class Container:
    """Pushed layer by layer: nothing is built."""

    def __init__(self, server: WholeServer, busybox: bytes) -> None:
        self._server = server
        self._busybox = busybox
        self.repository = "team/moving"
        server.client("ecr").create_repository(repositoryName=self.repository)
        self.uri = f"{server.settings.account}.dkr.ecr.us-east-1.amazonaws.com/{self.repository}:1"

    def move(self, answer: str) -> None:
        registry = Registry(self._server.port, token_of(self._server.client("ecr")))
        layer = archive({"bin/busybox": self._busybox, **programs(answer)})
        ran = {"Env": ["PATH=/opt/program:/bin"], "WorkingDir": "/opt/program"}
        facts = {"architecture": "amd64", "os": "linux", "config": ran}
        config = json.dumps({**facts, "rootfs": {"type": "layers", "diff_ids": [digest(layer)]}}).encode()
        registry.push_layer(self.repository, config)
        head = {"schemaVersion": 2, "mediaType": OCI_IMAGE, "config": descriptor(CONFIG, config)}
        manifest = json.dumps({**head, "layers": [registry.push_layer(self.repository, layer)]}).encode()
        put = registry.ask("PUT", f"/v2/{self.repository}/manifests/1", manifest, Content_Type=OCI_IMAGE)
        assert put.status == 201, put


def programs(answer: str) -> dict[str, bytes]:
    return {f"opt/program/{name}": text.encode() for name, text in {**CONTAINER, "answer": answer}.items()}


def archive(files: Mapping[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o755
            tar.addfile(member, io.BytesIO(data))
    return made.getvalue()


@pytest.fixture(scope="module")
def own() -> Iterator[WholeServer]:
    """A server to be restarted."""
    with whole_server(stop_grace_seconds="5") as made:
        yield made


@pytest.fixture
def folder(own: WholeServer, tmp_path: Path) -> Folder:
    return Folder(own, tmp_path)


@pytest.fixture
def container(own: WholeServer) -> Container:
    try:
        engine.find().ask("info")
    except (NoEngine, EngineError) as error:
        pytest.skip(f"no container engine works here: {error}")
    busybox = shutil.which("busybox")
    if busybox is None or subprocess.run(["ldd", busybox], capture_output=True).returncode == 0:
        pytest.skip("no static busybox on this machine")
    return Container(own, Path(busybox).read_bytes())


def deployed(server: WholeServer, image: str) -> str:
    """The name of an endpoint in service."""
    sagemaker, name = server.client("sagemaker"), unique("moving")
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=jobs.ROLE, PrimaryContainer={"Image": image})
    variant = {"VariantName": "v", "ModelName": name, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    in_service(server, name, 1)
    return name


def described(server: WholeServer, name: str) -> dict[str, Any]:
    found: dict[str, Any] = server.client("sagemaker").describe_endpoint(EndpointName=name)
    return found


def in_service(server: WholeServer, name: str, count: int | None = None) -> None:
    def there() -> bool:
        found = described(server, name)
        assert found["EndpointStatus"] != "Failed", found["FailureReason"]
        healthy = found["ProductionVariants"][0]["CurrentInstanceCount"]
        return bool(found["EndpointStatus"] == "InService" and count in (None, healthy))

    wait_until(there, 120, "the endpoint has not come into service")


def scale(server: WholeServer, name: str, count: int) -> None:
    wanted = [{"VariantName": "v", "DesiredInstanceCount": count}]
    sagemaker = server.client("sagemaker")
    sagemaker.update_endpoint_weights_and_capacities(EndpointName=name, DesiredWeightsAndCapacities=wanted)


def answers(server: WholeServer, name: str) -> set[str]:
    runtime = server.client("sagemaker-runtime")

    def answer() -> str:
        """Empty while a server that was just started looks for the instances."""
        with contextlib.suppress(runtime.exceptions.ClientError):
            return str(runtime.invoke_endpoint(EndpointName=name, Body=b"x")["Body"].read().decode())
        return ""

    return {wait_until(answer, 60, "nothing answers") for _ in range(6)}


def story(server: WholeServer, tag: Tag) -> tuple[str, str]:
    """Two endpoints of the one tag, in service. The digest that each names is its own."""
    tag.move("one")
    first = deployed(server, tag.uri)
    assert answers(server, first) == {"one"}
    tag.move("two")
    scale(server, first, 2)
    in_service(server, first, 2)
    assert answers(server, first) == {"one"}
    server.down()
    collected(server)
    server.up()
    in_service(server, first, 2)
    assert answers(server, first) == {"one"}
    second = deployed(server, tag.uri)
    assert answers(server, second) == {"two"}
    shown = [described(server, each)["ProductionVariants"][0]["DeployedImages"][0] for each in (first, second)]
    assert [each["SpecifiedImage"] for each in shown] == [tag.uri] * 2
    name = tag.uri.removesuffix(":1")
    assert all(each["ResolvedImage"].startswith(f"{name}@sha256:") for each in shown)
    assert shown[0]["ResolvedImage"] != shown[1]["ResolvedImage"]
    return first, second


def collected(server: WholeServer) -> list[str]:
    """What goes, whether the server runs or not. Copies of folders count as old."""
    for copy in server.settings.registered_images.glob("folders/*"):
        os.utime(copy, (0, 0))
    removed: list[str] = server.ask("images", "gc")["removed"]
    return removed


def deleted(server: WholeServer, *names: str) -> None:
    sagemaker = server.client("sagemaker")
    for name in names:
        in_service(server, name)
        sagemaker.delete_endpoint(EndpointName=name)
    wait_until(lambda: not {each["EndpointName"] for each in sagemaker.list_endpoints()["Endpoints"]} & {*names}, 60)


def test_folders(own: WholeServer, folder: Folder) -> None:
    names = story(own, folder)
    assert collected(own) == []
    deleted(own, *names)
    place = str(own.settings.registered_images / "folders")
    wait_until(lambda: [each for each in collected(own) if each.startswith(place)], 60)
    deleted(own, deployed(own, folder.uri))  # what the URI stands for is still there


@pytest.mark.slow
def test_containers(own: WholeServer, container: Container) -> None:
    first, second = story(own, container)
    resolved = described(own, first)["ProductionVariants"][0]["DeployedImages"][0]["ResolvedImage"]
    gone = resolved.partition("@")[2]
    own.client("ecr").batch_delete_image(repositoryName=container.repository, imageIds=[{"imageDigest": gone}])
    scale(own, first, 3)
    wait_until(lambda: described(own, first).get("FailureReason"), 60)
    assert f"stood for {gone} when this began" in described(own, first)["FailureReason"]
    assert answers(own, first) == {"one"}
    there = {each["digest"]: each["uri"] for each in own.ask("images", "ls")["containers"]}
    assert resolved in there.values() and len(there) == 2
    collected(own)
    assert len(own.ask("images", "ls")["containers"]) == 2
    deleted(own, second)
    wait_until(lambda: collected(own), 60)
    assert [each["uri"] for each in own.ask("images", "ls")["containers"]] == [resolved]
    deleted(own, first)
    wait_until(lambda: resolved in collected(own), 60)
