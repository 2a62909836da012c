"""Manifests: pulled, pushed and deleted, by tag and by digest; and what refers to one."""

from __future__ import annotations

import json
from urllib.parse import quote

from sqlalchemy.engine import Connection

from clary.errors import ServiceError
from clary.registry import images, listings, manifests
from clary.registry.images import Image, Needed
from clary.registry.manifests import LONGEST, MalformedManifest, Manifest
from clary.registry.names import DIGEST, TAG
from clary.services.ecr import finding, pushing, verified
from clary.services.ecr.distribution import errors
from clary.services.ecr.distribution.asked import VERSION, Asked, empty, reply
from clary.services.ecr.images import note_pull
from clary.services.operation import Call
from clary.wire.messages import Response

_REFERRERS = 1000  # in one answer


def read(asked: Asked) -> Response:
    found = verified.image(asked.call, _find(asked))
    headers = [VERSION, ("Docker-Content-Digest", found.digest), ("Content-Type", found.media_type)]
    headers += [("ETag", f'"{found.digest}"'), ("Content-Length", str(len(found.manifest)))]
    if asked.is_head:
        return Response(200, headers)
    note_pull(asked.call, found, asked.call.platform.clock.now())
    return Response(200, headers, found.manifest)


def _find(asked: Asked) -> Image:
    def look(connection: Connection) -> Image | None:
        return images.find(connection, finding.find(connection, asked.place), asked.reference)

    found = finding.read(asked.call, look)
    if found is None:
        raise _unknown(asked)
    return found


def _unknown(asked: Asked) -> ServiceError:
    return ServiceError("MANIFEST_UNKNOWN", f"Requested image not found: {asked.reference}", 404)


def write(asked: Asked) -> Response:
    reference = asked.reference
    manifest = manifests.parse(_read(asked.call), asked.header("content-type"))
    if ":" not in reference and not TAG.fullmatch(reference):
        raise ServiceError("TAG_INVALID", f"{reference!r} is no tag", 400)
    if ":" in reference and reference != manifest.digest:
        raise ServiceError("DIGEST_INVALID", f"The manifest has the digest {manifest.digest}", 400)
    pushing.push(asked.call, asked.place, manifest, None if ":" in reference else reference)
    return empty(201, *_pushed(asked, manifest))


def _pushed(asked: Asked, manifest: Manifest) -> list[tuple[str, str]]:
    where = ("Location", asked.path(f"manifests/{manifest.digest}"))
    subject = [("OCI-Subject", manifest.subject)] if manifest.subject else []
    return [where, ("Docker-Content-Digest", manifest.digest), *subject]


def _read(call: Call) -> bytes:
    """Raises MalformedManifest when it is too long."""
    data = b""
    while piece := call.body.read(LONGEST + 1 - len(data)):
        data += piece
        if len(data) > LONGEST:
            raise MalformedManifest(f"a manifest has at most {LONGEST} bytes")
    return data


def delete(asked: Asked) -> Response:
    """A tag alone, or by its digest an image with all of its tags."""
    now = asked.call.platform.clock.now()

    def work(connection: Connection) -> bool:
        repository = finding.find(connection, asked.place)
        found = images.find(connection, repository, asked.reference)
        if found is None:
            return False
        if ":" in asked.reference:
            images.remove(connection, repository, found.digest, now)
        else:
            images.untag(connection, repository, asked.reference)
        return True

    try:
        if not finding.write(asked.call, work):
            raise _unknown(asked)
    except Needed as error:
        raise ServiceError("DENIED", f"The image is needed by the index {error}", 409) from None
    return empty(202)


def referrers(asked: Asked) -> Response:
    """An index, made for the answer, of all images whose subject it is; there need be no such image."""
    if not DIGEST.fullmatch(asked.reference):
        raise errors.digest_invalid(asked.reference)
    kind = asked.query.get("artifactType", "")
    kinds = [kind] if kind else []

    def look(connection: Connection) -> tuple[list[Image], bool]:
        repository = finding.find(connection, asked.place)
        return listings.referrers(
            connection, repository, asked.reference, kinds, asked.query.get("last", ""), _REFERRERS
        )

    shown, more = finding.read(asked.call, look)
    document = {
        "schemaVersion": 2,
        "mediaType": manifests.OCI_INDEX,
        "manifests": [_descriptor(each) for each in shown],
    }
    headers = [("Content-Type", manifests.OCI_INDEX), *([("OCI-Filters-Applied", "artifactType")] if kind else [])]
    if more:
        wanted = f"artifactType={quote(kind, safe='')}&" if kind else ""
        headers.append(
            ("Link", f'<{asked.path("referrers/")}{asked.reference}?{wanted}last={shown[-1].digest}>; rel="next"')
        )
    return reply(200, *headers, body=json.dumps(document).encode())


def _descriptor(image: Image) -> dict[str, object]:
    return {
        "mediaType": image.media_type,
        "digest": image.digest,
        "size": len(image.manifest),
        **({"artifactType": image.artifact_type} if image.artifact_type else {}),
        "annotations": manifests.annotations_of(image.manifest),
    }
