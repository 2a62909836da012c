"""Layers and images that are pushed into the repositories of a home."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from clary.registry import images, manifests
from clary.registry.repositories import Repository
from clary.wire.messages import BytesBody

ACCOUNT, REGION = "123456789012", "us-east-1"


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def push(home: Any, repository: Repository, *pieces: bytes) -> str:
    upload = home.uploads.begin(repository).id
    for piece in pieces:
        home.uploads.append(repository, upload, BytesBody(piece))
    home.uploads.complete(repository, upload, digest(b"".join(pieces)))
    return digest(b"".join(pieces))


def put(home: Any, repository: Repository, tag: str, *data: bytes, **more: Any) -> str:
    descriptors = [{"digest": push(home, repository, each), "size": len(each)} for each in data]
    document = {"schemaVersion": 2, "config": descriptors[0], "layers": descriptors[1:], **more}
    return enter(home, repository, tag, document)


def index(home: Any, repository: Repository, tag: str, children: list[str], number: int) -> str:
    """One of images that are there; `number` tells it from another of the same."""
    listed = [{"digest": each, "size": 1} for each in children]
    document = {"schemaVersion": 2, "manifests": listed, "annotations": {"number": str(number)}}
    return enter(home, repository, tag, document)


def enter(home: Any, repository: Repository, tag: str, document: dict[str, Any]) -> str:
    manifest, now = manifests.parse(json.dumps(document).encode()), home.clock.now()
    home.database.write(
        lambda connection: images.put(connection, repository, manifest, tag or None, now, lambda _: False)
    )
    return manifest.digest
