"""Manifests: what a document of a known media type says an image is made of."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clary.registry.names import DIGEST, digest_of

LONGEST = 4 * 1024 * 1024  # bytes

OCI_IMAGE = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_IMAGE = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
_IMAGES = (OCI_IMAGE, DOCKER_IMAGE)
INDEXES = (OCI_INDEX, DOCKER_LIST)

_KIND = re.compile(
    r"[\x21-\x7e]{1,255}"
)  # what no media type looks like is kept with the manifest, and told of nowhere else
_MOST = 10_000  # layers, or images of an index


class MalformedManifest(Exception):
    """The document is none that can be kept; `str` says why."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """`layers` are the digests of all that has to be in the repository before it, the configuration among them;
    `children` those of the images of an index; `subject` is "" without."""

    data: bytes
    digest: str
    media_type: str
    layers: frozenset[str]
    children: frozenset[str]
    subject: str
    artifact_type: str


def parse(data: bytes, media_type: str = "") -> Manifest:
    """`media_type` is what the sender says, "" when nothing. Raises MalformedManifest."""
    if len(data) > LONGEST:
        raise MalformedManifest(f"a manifest has at most {LONGEST} bytes")
    document = _document(data)
    kind = _media_type(document, media_type.partition(";")[0].strip())
    index = kind in INDEXES
    found = _descriptors(document, "manifests" if index else "layers")
    config = document.get("config")
    if not index:
        found.append(_descriptor(config, "config"))
    own = frozenset(each["digest"] for each in found if not _is_elsewhere(each))
    subject = document.get("subject")
    said = document.get("artifactType") or (config.get("mediaType") if isinstance(config, dict) else "") or ""
    return Manifest(
        data,
        digest_of(data),
        kind,
        frozenset() if index else own,
        own if index else frozenset(),
        "" if subject is None else _descriptor(subject, "subject")["digest"],
        said if isinstance(said, str) and _KIND.fullmatch(said) else "",
    )


def annotations_of(data: bytes) -> dict[str, str]:
    """Of a manifest that was parsed once; those that are no texts are left out."""
    found = json.loads(data).get("annotations")
    pairs = found.items() if isinstance(found, dict) else ()
    return {name: value for name, value in pairs if isinstance(value, str)}


def _document(data: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(data.decode())  # as ECR gives it out again: text, in UTF-8 and in nothing else
    except (ValueError, RecursionError):
        raise MalformedManifest("it is not JSON") from None
    if not isinstance(document, dict) or document.get("schemaVersion") != 2:
        raise MalformedManifest("its schemaVersion is not 2")
    return document


def _media_type(document: Mapping[str, Any], said: str) -> str:
    """What it says itself and what its sender says have to be the same."""
    own = document.get("mediaType")
    if own is not None and said and said != own:
        raise MalformedManifest(f"it was sent as {said} and says that it is {own}")
    if "manifests" in document and ("layers" in document or "config" in document):
        raise MalformedManifest("it is an image and an index at once")
    kind = own or said or (OCI_INDEX if "manifests" in document else OCI_IMAGE)
    if kind not in (*_IMAGES, *INDEXES):
        raise MalformedManifest(f"its media type {kind} is not one that is kept here")
    return str(kind)


def _descriptors(document: Mapping[str, Any], member: str) -> list[Mapping[str, Any]]:
    found = document.get(member)
    if not isinstance(found, list) or len(found) > _MOST:
        raise MalformedManifest(f"it has no {member}, or too many")
    return [_descriptor(each, member) for each in found]


def _descriptor(given: object, member: str) -> Mapping[str, Any]:
    if not isinstance(given, dict):
        raise MalformedManifest(f"its {member} is no descriptor")
    digest, size = given.get("digest"), given.get("size")
    if not isinstance(digest, str) or not DIGEST.fullmatch(digest) or not isinstance(size, int) or size < 0:
        raise MalformedManifest(f"a descriptor of its {member} lacks a SHA-256 digest or a size")
    return given


def _is_elsewhere(descriptor: Mapping[str, Any]) -> bool:
    """Layers that may not be distributed are fetched from the addresses that their descriptors give."""
    kind = str(descriptor.get("mediaType", ""))
    return bool(descriptor.get("urls")) and ("foreign" in kind or "nondistributable" in kind)
