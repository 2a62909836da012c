"""Layers by the API: what is there, and uploads in parts."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from clary.errors import ServiceError
from clary.registry import layers
from clary.registry.names import DIGEST, Place
from clary.registry.repositories import Repository, RepositoryGone
from clary.registry.uploads import NoSuchUpload, OutOfOrder, WrongDigest
from clary.services.ecr import creating, faults, finding
from clary.services.operation import Call, Document, Operations
from clary.wire.messages import BytesBody

operations = Operations()

PART_BYTES = 10 * 1024 * 1024
_SMALLEST = 5 * 1024 * 1024  # of all parts but the last
_NOWHERE = -1  # where no part ends
_MEDIA_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip"  # what ECR says of every layer


@operations.handles("BatchCheckLayerAvailability")
def batch_check_layer_availability(call: Call, given: Document) -> Document:
    """Who asks is about to push: what there is stays until he has."""
    place = finding.place(call, given)
    answer: Document = {"layers": [], "failures": []}
    for digest in given["layerDigests"]:
        if not DIGEST.fullmatch(digest):
            reason = f"Invalid layer digest: must satisfy the regex '{DIGEST.pattern}'"
            answer["failures"].append(
                {"layerDigest": digest, "failureCode": "InvalidLayerDigest", "failureReason": reason}
            )
            continue
        found = there(call, place, digest)
        state = {"layerAvailability": "UNAVAILABLE" if found is None else "AVAILABLE"}
        size = {} if found is None else {"layerSize": found.size, "mediaType": _MEDIA_TYPE}
        answer["layers"].append({"layerDigest": digest, **state, **size})
    return answer


def there(call: Call, place: Place, digest: str) -> layers.Layer | None:
    """A layer that somebody counts on from now on; None for one that is damaged: whoever asks is about to push it, and
    so mends it. Raises RepositoryNotFoundException."""
    now = call.platform.clock.now()

    def look(connection: Connection) -> tuple[Repository, layers.Layer | None]:
        repository = finding.find(connection, place)
        return repository, layers.whole(connection, repository, digest)

    def touch(connection: Connection) -> layers.Layer | None:
        layers.touch(connection, repository, [digest], now)
        return layers.whole(connection, repository, digest)  # it may have been let go meanwhile

    repository, found = finding.read(call, look)
    if found is None or now - found.touched < layers.TOUCHED_SECONDS:
        return found
    return finding.write(call, touch)


@operations.handles("InitiateLayerUpload")
def initiate_layer_upload(call: Call, given: Document) -> Document:
    place = finding.place(call, given)
    repository = creating.pushed_to(call, place)
    try:
        return {"uploadId": finding.uploads(call).begin(repository).id, "partSize": PART_BYTES}
    except RepositoryGone:
        raise faults.no_repository(place) from None


@operations.handles("UploadLayerPart")
def upload_layer_part(call: Call, given: Document) -> Document:
    place, upload, data = finding.place(call, given), given["uploadId"], bytes(given["layerPartBlob"])
    first, last = given["partFirstByte"], given["partLastByte"]
    repository, uploads = _repository(call, place), finding.uploads(call)
    try:
        whole = last - first + 1 == len(data)
        after = uploads.append(repository, upload, BytesBody(data), first if whole else _NOWHERE)
    except NoSuchUpload:
        raise faults.no_upload(place, upload) from None
    except OutOfOrder as error:
        message = f"The part is not bytes {first} to {last}, or does not follow the {error.size} bytes that have come"
        members = {**_named(place), "uploadId": upload, "lastValidByteReceived": max(0, error.size - 1)}
        raise ServiceError("InvalidLayerPartException", message, 400, members) from None
    return {**_named(place), "uploadId": upload, "lastByteReceived": after.size - 1}


@operations.handles("CompleteLayerUpload")
def complete_layer_upload(call: Call, given: Document) -> Document:
    place, upload, digests = finding.place(call, given), given["uploadId"], given["layerDigests"]
    repository, uploads = _repository(call, place), finding.uploads(call)
    digest = digests[0]
    if len(digests) != 1 or not DIGEST.fullmatch(digest):
        raise faults.invalid("layerDigests", f"one digest that satisfies regular expression '{DIGEST.pattern}'")
    try:
        _check_parts(uploads.parts(repository, upload))
        _check_new(call, repository, digest)
        uploads.complete(repository, upload, digest)
    except NoSuchUpload:
        raise faults.no_upload(place, upload) from None
    except RepositoryGone:
        raise faults.no_repository(place) from None
    except (WrongDigest, OutOfOrder) as error:
        message = f"The layer's digest is not {digest}: {error}"
        raise ServiceError("InvalidLayerException", message) from None
    return {**_named(place), "uploadId": upload, "layerDigest": digest}


def _check_parts(sizes: list[int]) -> None:
    if not sizes:
        raise ServiceError("EmptyUploadException", "The specified layer upload does not contain any layer parts.")
    if any(size < _SMALLEST for size in sizes[:-1]):
        message = f"Layer parts, but for the last, must be at least {_SMALLEST} bytes in size."
        raise ServiceError("LayerPartTooSmallException", message)


def _check_new(call: Call, repository: Repository, digest: str) -> None:
    if finding.read(call, lambda connection: layers.whole(connection, repository, digest)) is not None:
        message = f"Layer with digest {digest} already exists in the repository with name '{repository.name}'"
        raise ServiceError("LayerAlreadyExistsException", message)


def _repository(call: Call, place: Place) -> Repository:
    return finding.read(call, lambda connection: finding.find(connection, place))


def _named(place: Place) -> Document:
    return {"registryId": place.account, "repositoryName": place.repository}
