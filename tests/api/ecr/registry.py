"""The registry by plain HTTP, as the distribution specification words it, and small images to push."""

from __future__ import annotations

import hashlib
import http.client
import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

OCI_IMAGE = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["errors"][0]["code"])

    def json(self) -> Any:
        return json.loads(self.body)


class Registry:
    """Who speaks to the server at `port` with this token; as who asks `host`, where one is given."""

    def __init__(self, port: int, token: str = "", host: str = "") -> None:
        self.port = port
        self.headers = {"Authorization": f"Basic {token}"} if token else {}
        if host:
            self.headers["Host"] = host

    def ask(self, method: str, path: str, body: bytes | Iterable[bytes] = b"", **headers: str) -> Answer:
        """`headers` with underscores for hyphens; an iterable goes chunked."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body or None, {**self.headers, **given})
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, names, answer.read())
        finally:
            connection.close()

    def upload(self, repository: str) -> str:
        """Where a new upload goes."""
        begun = self.ask("POST", f"/v2/{repository}/blobs/uploads/")
        assert begun.status == 202, begun
        return begun.headers["location"]

    def push_layer(self, repository: str, data: bytes) -> dict[str, Any]:
        """Its descriptor."""
        path = f"/v2/{repository}/blobs/uploads/?digest={digest(data)}"
        done = self.ask("POST", path, data)
        assert done.status == 201, done
        return descriptor(LAYER, data)

    def push(self, repository: str, tag: str, *layers: bytes, **more: Any) -> tuple[str, bytes]:
        """(digest, manifest) of an image that is pushed whole."""
        manifest = self.manifest(repository, *layers, **more)
        put = self.ask("PUT", f"/v2/{repository}/manifests/{tag or digest(manifest)}", manifest, Content_Type=OCI_IMAGE)
        assert put.status == 201, put
        return digest(manifest), manifest

    def manifest(self, repository: str, *layers: bytes, **more: Any) -> bytes:
        """Of an image whose layers are there."""
        config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}})
        self.push_layer(repository, config.encode())
        pushed = [self.push_layer(repository, data) for data in layers]
        head = {"schemaVersion": 2, "mediaType": OCI_IMAGE, "config": descriptor(CONFIG, config.encode())}
        return json.dumps({**head, "layers": pushed, **more}).encode()


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def descriptor(media_type: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest(data), "size": len(data)}


def index(*manifests: bytes, **more: Any) -> bytes:
    listed = [descriptor(OCI_IMAGE, each) for each in manifests]
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed, **more}).encode()
