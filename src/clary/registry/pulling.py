"""Images, opened: for whoever runs them on this machine and need not ask over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

from sqlalchemy.engine import Connection

from clary.clock import Clock
from clary.objects.base import ObjectStore
from clary.objects.damage import Damaged
from clary.registry import images, layers, repositories
from clary.registry.bytes_at_rest import Bytes
from clary.registry.layers import Layer
from clary.registry.names import DIGEST, Place, Reference
from clary.secrets import SealingKey
from clary.store.engine import Database

T = TypeVar("T")


class NoSuchImage(LookupError):
    """No such repository, tag, image or layer; `str` says which."""


class Manifest(NamedTuple):
    """`data` are the bytes as they were pushed: their SHA-256 is `digest`. `media_type` tells an index (several images,
    of which one is to be chosen by its platform, then asked for by its digest) from an image."""

    digest: str
    media_type: str
    data: bytes


class LostLayer(Damaged):
    """The file of a layer, the blob `blob`, is not there, and nobody deleted it."""

    def __init__(self, layer: Layer) -> None:
        super().__init__(f"the file of the layer {layer.digest} is missing")
        self.blob = layer.written.blob


def opened(
    database: Database, find: Callable[[Connection], Layer | None], read: Callable[[Layer], T]
) -> tuple[Layer, T] | None:
    """The layer that `find` finds, and its bytes, which `read` opens; None where there is none. Raises LostLayer, and
    what `read` raises."""
    lost = ""
    while layer := database.read(find):
        try:
            return layer, read(layer)
        except FileNotFoundError:
            if layer.written.blob == lost:
                raise LostLayer(layer) from None
            lost = layer.written.blob  # it may have been let go, or pushed again, between the look and the opening
    return None


class ImageSource:
    """Reads the images of all accounts: whether somebody may have them is decided before. Safe between threads."""

    def __init__(self, database: Database, objects: ObjectStore, secrets: SealingKey, clock: Clock) -> None:
        """`database` is the one of the object index."""
        self._database = database
        self._kept = Bytes(objects, secrets)
        self._clock = clock

    def has(self, place: Place) -> bool:
        """Whether there is that repository."""
        return self._database.read(lambda connection: repositories.find(connection, place)) is not None

    def manifest(self, wanted: Reference) -> Manifest:
        """What a tag stands for now, or a digest; counts as a pull. Raises NoSuchImage, Damaged."""
        now = self._clock.now()

        found = self._database.read(lambda connection: images.at(connection, wanted))
        if found is None:
            raise NoSuchImage(f"there is no image {wanted.reference} in the repository {wanted.place.repository}")
        if images.due_for_note(found, now):
            self._database.write(lambda connection: images.note_pull(connection, found, now))
        return Manifest(found.digest, found.media_type, images.intact(found).manifest)

    def layer(self, wanted: Reference, digest: str) -> tuple[int, Iterator[bytes]]:
        """(size, pieces) of a layer, or configuration, of the repository. The pieces come verified against accidents on
        the disk (`clary.objects.damage.Damaged`); a later delete does not disturb them. Raises NoSuchImage."""
        found = opened(
            self._database,
            lambda connection: _layer(connection, wanted, digest),
            lambda layer: self._kept.read(layer.account, layer.written),
        )
        if found is None:
            raise NoSuchImage(f"there is no layer {digest} in the repository {wanted.place.repository}")
        layer, pieces = found
        return layer.size, pieces


def _layer(connection: Connection, wanted: Reference, digest: str) -> Layer | None:
    repository = repositories.find(connection, wanted.place)
    known = repository is not None and DIGEST.fullmatch(digest)
    return layers.find(connection, repository, digest) if repository and known else None
