"""Images described: DescribeImages, and what refers to an image."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from sqlalchemy.engine import Connection

from clary.registry import images, listings, manifests
from clary.registry.images import Image
from clary.registry.names import DIGEST
from clary.registry.repositories import Repository
from clary.services.ecr import faults, finding, paging
from clary.services.ecr.images import active, tag_status
from clary.services.operation import Call, Document, Operations

operations = Operations()

operations.leaves_out("A server has one class of storage, its disk.", "UpdateImageStorageClass")

Described = tuple[Image, list[str]]  # with its tags


@operations.handles("DescribeImages")
def describe_images(call: Call, given: Document) -> Document:
    place, named = finding.place(call, given), given.get("imageIds")
    if named:
        if given.get("maxResults") or given.get("nextToken"):
            raise faults.invalid("imageIds", "Pages are not for images that are named")
        described = finding.read(call, lambda connection: _named(connection, call, given))
        return {"imageDetails": [_shown(call, given, each) for each in described]}

    def look(after: Sequence[str], limit: int) -> list[Described]:
        def work(connection: Connection) -> list[Described]:
            repository = finding.find(connection, place)
            page = listings.whole(connection, repository, tag_status(given), after[0], limit) if active(given) else []
            return _with_tags(connection, repository, page)

        return finding.read(call, work)

    found, token = paging.page(call, given, ("",), look, lambda each: (each[0].digest,))
    return {"imageDetails": [_shown(call, given, each) for each in found], **token}


def _named(connection: Connection, call: Call, given: Document) -> list[Described]:
    place = finding.place(call, given)
    repository = finding.find(connection, place)
    found: dict[str, Image] = {}
    for each in given["imageIds"]:
        image = finding.image(connection, place, each.get("imageDigest"), each.get("imageTag"))
        found[image.digest] = dataclasses.replace(image, manifest=b"")  # all together they could be large
    status = tag_status(given)
    described = _with_tags(connection, repository, list(found.values()) if active(given) else [])
    return [each for each in described if status == "ANY" or bool(each[1]) == (status == "TAGGED")]


def _with_tags(connection: Connection, repository: Repository, found: Sequence[Image]) -> list[Described]:
    tags = images.tags_of(connection, repository, [each.digest for each in found])
    return [(each, tags.get(each.digest, [])) for each in found]


def _shown(call: Call, given: Document, described: Described) -> Document:
    image, tags = described
    return {
        "registryId": finding.registry_id(call, given),
        "repositoryName": given["repositoryName"],
        "imageDigest": image.digest,
        **({"imageTags": tags} if tags else {}),
        "imageSizeInBytes": image.size,
        "imagePushedAt": image.pushed,
        "imageManifestMediaType": image.media_type,
        **({"artifactMediaType": image.artifact_type} if image.artifact_type else {}),
        **({"lastRecordedPullTime": image.pulled} if image.pulled is not None else {}),
        **({"subjectManifestDigest": image.subject} if image.subject else {}),
        "imageStatus": "ACTIVE",
    }


@operations.handles("ListImageReferrers")
def list_image_referrers(call: Call, given: Document) -> Document:
    place, subject = finding.place(call, given), given["subjectId"]["imageDigest"]
    wanted = given.get("filter") or {}
    kinds = wanted.get("artifactTypes") or []
    if not DIGEST.fullmatch(subject):
        raise faults.invalid("subjectId.imageDigest", f"must satisfy regular expression '{DIGEST.pattern}'")

    def look(after: Sequence[str], limit: int) -> tuple[list[Image], bool]:
        def work(connection: Connection) -> tuple[list[Image], bool]:
            repository = finding.find(connection, place)
            if wanted.get("artifactStatus", "ACTIVE") not in ("ACTIVE", "ANY"):
                return [], False
            return listings.referrers(connection, repository, subject, kinds, after[0], limit)

        return finding.read(call, work)

    found, token = paging.page_cut(call, given, ("",), look, lambda each: (each.digest,))
    return {"referrers": [_referrer(each) for each in found], **token}


def _referrer(image: Image) -> Document:
    return {
        "digest": image.digest,
        "mediaType": image.media_type,
        **({"artifactType": image.artifact_type} if image.artifact_type else {}),
        "size": len(image.manifest),
        "annotations": manifests.annotations_of(image.manifest),
        "artifactStatus": "ACTIVE",
    }
