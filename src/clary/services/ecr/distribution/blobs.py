"""Layers: looked for, read (in ranges too), and on their way in."""

from __future__ import annotations

import re
from uuid import UUID

from sqlalchemy.engine import Connection

from clary.errors import ServiceError
from clary.registry import layers, repositories
from clary.registry.layers import Layer
from clary.registry.names import DIGEST, place
from clary.registry.uploads import Upload
from clary.services.ecr import asking, creating, finding, registries, verified
from clary.services.ecr.distribution import errors
from clary.services.ecr.distribution.asked import VERSION, Asked, empty
from clary.services.ecr.layers import there
from clary.wire.messages import Response

_ANY = "application/octet-stream"
_RANGE = re.compile(r"bytes=(\d{1,18})-(\d{0,18})", re.ASCII)
_CONTENT_RANGE = re.compile(r"(?:bytes )?(\d{1,18})-(\d{1,18})(?:/(?:\d{1,18}|\*))?", re.ASCII)


def look(asked: Asked) -> Response:
    """HEAD: a client that is about to push asks so what it need not send."""
    found = there(asked.call, asked.place, _digest(asked.reference))
    if found is None:
        raise errors.blob_unknown(asked.reference)
    return Response(200, [VERSION, *_about(found), ("Content-Length", str(found.size))])


def read(asked: Asked) -> Response:
    digest, given = _digest(asked.reference), asked.header("range")

    def look(connection: Connection) -> Layer | None:
        return layers.find(connection, finding.find(connection, asked.place), digest)

    found = verified.layer(asked.call, look, lambda size: _ranged(given, size) or (0, size))
    if found is None:
        raise errors.blob_unknown(digest)
    layer, (start, length), pieces = found
    part = _ranged(given, layer.size)
    span = [("Content-Range", f"bytes {start}-{start + length - 1}/{layer.size}")] if part else []
    headers = [VERSION, *_about(layer), *span, ("Content-Length", str(length))]
    return Response(206 if part else 200, headers, pieces)


def _about(found: Layer) -> list[tuple[str, str]]:
    return [
        ("Docker-Content-Digest", found.digest),
        ("Content-Type", _ANY),
        ("Accept-Ranges", "bytes"),
        ("ETag", f'"{found.digest}"'),
    ]


def _ranged(header: str, size: int) -> tuple[int, int] | None:
    """(start, length); None for the whole, as for what is no single range from a byte on. Raises RANGE_INVALID."""
    match = _RANGE.fullmatch(header.strip())
    if match is None:
        return None
    start, end = int(match[1]), min(size, int(match[2]) + 1) if match[2] else size
    if start >= end:
        headers = {"Content-Range": f"bytes */{size}"}
        raise ServiceError("RANGE_INVALID", f"The layer has {size} bytes", 416, headers=headers)
    return start, end - start


def _digest(text: str) -> str:
    if not DIGEST.fullmatch(text):
        raise errors.digest_invalid(text)
    return text


def refuse_delete(_asked: Asked) -> Response:
    """Images may share a layer; it goes when none needs it any more."""
    raise errors.unsupported("Layers are not deleted: they go when no image needs them")


def begin(asked: Asked) -> Response:
    """An upload; or the layer at once, where its bytes come with the request or another repository has them."""
    repository = creating.pushed_to(asked.call, asked.place)
    wanted = asked.query.get("mount", "")
    if DIGEST.fullmatch(wanted) and _mount(asked, wanted):
        return _created(asked, wanted)
    if "digest" in asked.query:
        digest = _digest(asked.query["digest"])
        uploads = finding.uploads(asked.call)
        upload = uploads.begin(repository)
        uploads.append(repository, upload.id, asked.call.body)
        uploads.complete(repository, upload.id, digest)
        return _created(asked, digest)
    return _come(asked, 202, finding.uploads(asked.call).begin(repository))


def _mount(asked: Asked, digest: str) -> bool:
    """Whether the layer is now the repository's, from the one that the request names, which its sender may read."""
    source = place(asked.query.get("from", ""), asked.place.account, asked.place.region)
    if source is None or not asking.may_read_layers(asked.call, source):
        return False
    now = asked.call.platform.clock.now()

    def share(connection: Connection) -> bool:
        if not registries.may_mount(connection, asked.place.account, asked.place.region):
            return False
        from_there = repositories.find(connection, source)
        found = None if from_there is None else layers.find(connection, from_there, digest)
        return found is not None and layers.share(connection, found, finding.find(connection, asked.place), now)

    return finding.write(asked.call, share)


def state(asked: Asked) -> Response:
    upload = finding.uploads(asked.call).find(asked.repository(), _upload(asked))
    return _come(asked, 204, upload)


def append(asked: Asked) -> Response:
    uploads = finding.uploads(asked.call)
    return _come(asked, 202, uploads.append(asked.repository(), _upload(asked), asked.call.body, _first(asked)))


def _first(asked: Asked) -> int | None:
    """Where a part says that it begins."""
    given = asked.header("content-range")
    if not given:
        return None
    match = _CONTENT_RANGE.fullmatch(given.strip())
    if match is None or asked.call.body.length not in (None, int(match[2]) - int(match[1]) + 1):
        raise ServiceError("BLOB_UPLOAD_INVALID", "The Content-Range is not that of the bytes that come", 400)
    return int(match[1])


def complete(asked: Asked) -> Response:
    """With the last part, or without."""
    digest, repository, upload = _digest(asked.query.get("digest", "")), asked.repository(), _upload(asked)
    uploads = finding.uploads(asked.call)
    uploads.append(repository, upload, asked.call.body, _first(asked))
    uploads.complete(repository, upload, digest)
    return _created(asked, digest)


def cancel(asked: Asked) -> Response:
    finding.uploads(asked.call).cancel(asked.repository(), _upload(asked))
    return empty(204)


def _upload(asked: Asked) -> str:
    try:
        return str(UUID(asked.reference))
    except ValueError:
        raise ServiceError("BLOB_UPLOAD_UNKNOWN", "There is no such upload in the repository", 404) from None


def _come(asked: Asked, status: int, upload: Upload) -> Response:
    where = ("Location", asked.path(f"blobs/uploads/{upload.id}"))
    return empty(status, where, ("Range", errors.come(upload.size)), ("Docker-Upload-UUID", upload.id))


def _created(asked: Asked, digest: str) -> Response:
    return empty(201, ("Location", asked.path(f"blobs/{digest}")), ("Docker-Content-Digest", digest))
