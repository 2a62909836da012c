"""Images by the API: put, got, listed and deleted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Connection

from clary.errors import ServiceError
from clary.objects.damage import Damaged
from clary.registry import images, listings, manifests
from clary.registry.images import Image, Needed
from clary.registry.manifests import MalformedManifest
from clary.registry.names import DIGEST, TAG, Place
from clary.registry.repositories import Repository
from clary.services.ecr import faults, finding, paging, pushing, verified
from clary.services.operation import Call, Document, Operations

operations = Operations()

_HEAVIEST = 16 * 1024 * 1024  # bytes of the manifests in one answer


@operations.handles("PutImage")
def put_image(call: Call, given: Document) -> Document:
    text, tag, place = given["imageManifest"], given.get("imageTag"), finding.place(call, given)
    if tag is not None and not TAG.fullmatch(tag):
        raise faults.invalid("imageTag", f"must satisfy regular expression '{TAG.pattern}'")
    manifest = _parsed(text, given.get("imageManifestMediaType") or "")
    if given.get("imageDigest", manifest.digest) != manifest.digest:
        message = "The specified image digest does not match the digest that was calculated for the image"
        raise ServiceError("ImageDigestDoesNotMatchException", message)
    pushing.push(call, place, manifest, tag, anew=True)
    identity = {"imageDigest": manifest.digest, **({} if tag is None else {"imageTag": tag})}
    told = {"imageManifest": text, "imageManifestMediaType": manifest.media_type}
    return {"image": {"registryId": place.account, "repositoryName": place.repository, "imageId": identity, **told}}


def _parsed(text: str, media_type: str) -> manifests.Manifest:
    try:
        manifest = manifests.parse(text.encode(), media_type)
    except (MalformedManifest, UnicodeEncodeError) as error:
        raise faults.invalid("ImageManifest", f"Invalid image manifest provided: {error}") from None
    if not media_type and "mediaType" not in json.loads(text):
        message = "image manifest mediatype not provided in manifest or parameter"
        raise ServiceError("InvalidParameterException", message)
    return manifest


@operations.handles("BatchGetImage")
def batch_get_image(call: Call, given: Document) -> Document:
    place, now = finding.place(call, given), call.platform.clock.now()

    def look(connection: Connection) -> list[Image | Document]:
        repository, found, size = finding.find(connection, place), list[Image | Document](), 0
        for each in given["imageIds"]:
            found.append(_found(connection, repository, each))
            size += len(found[-1].manifest) if isinstance(found[-1], Image) else 0
            if size > _HEAVIEST:
                raise faults.invalid("imageIds", f"Their manifests have over {_HEAVIEST} bytes: ask for fewer at once")
        return found

    answer: Document = {"images": [], "failures": []}
    for identity, found in zip(given["imageIds"], finding.read(call, look), strict=True):
        told = _given_out(call, identity, _accepted(identity, found, given.get("acceptedMediaTypes")))
        if isinstance(told, Image):
            note_pull(call, told, now)
            answer["images"].append(_shown(place, told, identity.get("imageTag")))
        else:
            answer["failures"].append(told)
    return answer


def _accepted(identity: Mapping[str, Any], found: Image | Document, accepted: Sequence[str] | None) -> Image | Document:
    """An image is told as it was pushed, to whoever takes that."""
    if isinstance(found, Image) and accepted and found.media_type not in accepted:
        return _failure(identity, "ImageNotFound", f"The image is {found.media_type}, which is not accepted")
    return found


def _given_out(call: Call, identity: Mapping[str, Any], found: Image | Document) -> Image | Document:
    try:
        return verified.image(call, found) if isinstance(found, Image) else found
    except Damaged as error:
        return _failure(identity, "ImageInaccessible", f"It is damaged on the server's disk: {error}. Push it again.")


def _shown(place: Place, image: Image, tag: str | None) -> Document:
    return {
        "registryId": place.account,
        "repositoryName": place.repository,
        "imageId": {"imageDigest": image.digest, **({"imageTag": tag} if tag else {})},
        "imageManifest": image.manifest.decode(),
        "imageManifestMediaType": image.media_type,
    }


def note_pull(call: Call, image: Image, now: float) -> None:
    if images.due_for_note(image, now):
        finding.write(call, lambda connection: images.note_pull(connection, image, now))


def _found(connection: Connection, repository: Repository, identity: Mapping[str, Any]) -> Image | Document:
    """The image, or why it is none."""
    digest, tag = identity.get("imageDigest"), identity.get("imageTag")
    if not digest and not tag:
        reason = "Invalid request parameters: both tag and digest cannot be null"
        return _failure(identity, "MissingDigestAndTag", reason)
    if digest and not DIGEST.fullmatch(digest):
        reason = "Invalid request parameters: image digest should satisfy the regex 'sha256:[0-9a-f]{64}'"
        return _failure(identity, "InvalidImageDigest", reason)
    found = images.find(connection, repository, digest or tag or "")
    if found is None or (tag and images.tagged(connection, repository, tag) != found.digest):
        return _failure(identity, "ImageNotFound", "Requested image not found")
    return found


def _failure(identity: Mapping[str, Any], code: str, reason: str) -> Document:
    return {"imageId": dict(identity), "failureCode": code, "failureReason": reason}


@operations.handles("ListImages")
def list_images(call: Call, given: Document) -> Document:
    place, status = finding.place(call, given), tag_status(given)

    def look(after: Sequence[str], limit: int) -> list[tuple[str, str]]:
        def work(connection: Connection) -> list[tuple[str, str]]:
            repository = finding.find(connection, place)
            if not active(given):
                return []
            return listings.identities(connection, repository, status, (after[0], after[1]), limit)

        return finding.read(call, work)

    found, token = paging.page(call, given, ("", ""), look, tuple)
    identities = [{"imageDigest": digest, **({"imageTag": tag} if tag else {})} for digest, tag in found]
    return {"imageIds": identities, **token}


def tag_status(given: Document) -> images.TagStatus:
    found: images.TagStatus = (given.get("filter") or {}).get("tagStatus") or "ANY"
    return found


def active(given: Document) -> bool:
    """Whether a filter lets images through that are there to be pulled, which all are."""
    return ((given.get("filter") or {}).get("imageStatus") or "ACTIVE") in ("ACTIVE", "ANY")


@operations.handles("BatchDeleteImage")
def batch_delete_image(call: Call, given: Document) -> Document:
    place, now = finding.place(call, given), call.platform.clock.now()

    def work(connection: Connection) -> Document:
        repository = finding.find(connection, place)
        answer: Document = {"imageIds": [], "failures": []}
        for identity in given["imageIds"]:
            found = _found(connection, repository, identity)
            if not isinstance(found, Image):
                answer["failures"].append(found)
                continue
            try:
                answer["imageIds"] += _delete(connection, repository, found, identity.get("imageTag"), now)
            except Needed as error:
                reason = f"Requested image referenced by manifest list: [{error}]"
                answer["failures"].append(_failure(identity, "ImageReferencedByManifestList", reason))
        return answer

    return finding.write(call, work)


def _delete(
    connection: Connection, repository: Repository, image: Image, tag: str | None, now: float
) -> list[Document]:
    """By its tag an image loses that one, and ends with the last; by its digest it ends with all. Raises Needed."""
    named = images.tags_of(connection, repository, [image.digest]).get(image.digest, [])
    gone = named if tag is None else [tag]
    if set(gone) == set(named):
        images.remove(connection, repository, image.digest, now)
    else:
        images.untag(connection, repository, gone[0])
    if not gone:
        return [{"imageDigest": image.digest}]
    return [{"imageDigest": image.digest, "imageTag": each} for each in gone]
