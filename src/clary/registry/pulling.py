"""Images, opened: for whoever runs them on this machine and need not ask over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy.engine import Connection

from clary.clock import Clock
from clary.objects.base import ObjectStore
from clary.registry import images, layers, repositories
from clary.registry.bytes_at_rest import Bytes
from clary.registry.layers import Layer
from clary.registry.names import DIGEST, Reference
from clary.secrets import SealingKey
from clary.store.engine import Database


class NoSuchImage(LookupError):
    """No such repository, tag, image or layer; `str` says which."""


class Manifest(NamedTuple):
    """`data` are the bytes as they were pushed: their SHA-256 is `digest`. `media_type` tells an index (several images,
    of which one is to be chosen by its platform, then asked for by its digest) from an image."""

    digest: str
    media_type: str
    data: bytes


class ImageSource:
    """Reads the images of all accounts: whether somebody may have them is decided before. Safe between threads."""

    def __init__(self, database: Database, objects: ObjectStore, secrets: SealingKey, clock: Clock) -> None:
        """`database` is the one of the object index."""
        self._database = database
        self._kept = Bytes(objects, secrets)
        self._clock = clock

    def manifest(self, wanted: Reference) -> Manifest:
        """What a tag stands for now, or a digest; counts as a pull. Raises NoSuchImage."""
        now = self._clock.now()

        found = self._database.read(lambda connection: images.at(connection, wanted))
        if found is None:
            raise NoSuchImage(f"there is no image {wanted.reference} in the repository {wanted.place.repository}")
        if images.due_for_note(found, now):
            self._database.write(lambda connection: images.note_pull(connection, found, now))
        return Manifest(found.digest, found.media_type, found.manifest)

    def layer(self, wanted: Reference, digest: str) -> tuple[int, Iterator[bytes]]:
        """(size, pieces) of a layer, or configuration, of the repository. The pieces come verified against accidents on
        the disk (`clary.objects.damage.Damaged`); a later delete does not disturb them. Raises NoSuchImage."""
        layer = self._database.read(lambda connection: _layer(connection, wanted, digest))
        try:
            if layer is not None:
                return layer.size, self._kept.read(layer.account, layer.written)
        except FileNotFoundError:
            pass  # let go between the look and the opening
        raise NoSuchImage(f"there is no layer {digest} in the repository {wanted.place.repository}")


def _layer(connection: Connection, wanted: Reference, digest: str) -> Layer | None:
    repository = repositories.find(connection, wanted.place)
    known = repository is not None and DIGEST.fullmatch(digest)
    return layers.find(connection, repository, digest) if repository and known else None
