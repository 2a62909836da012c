"""Every object of a home, and every container image, read: whether its bytes are there, as many as were stored, and
the same.

By the checksums of their files (`clary.objects.blobs`), and by MD5, where that is what their ETag says; layers and
manifests by their digests. What is encrypted is not opened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

from clary.backup import index
from clary.backup.asking import Ask, Tell, snapshot
from clary.backup.index import Index, Part, Stored
from clary.config import Settings
from clary.objects.base import Lost, ObjectStore
from clary.objects.choice import object_store
from clary.objects.damage import Damaged
from clary.objects.encryption import encrypted_size


@dataclass(frozen=True, slots=True)
class Fault:
    """An object whose bytes are not what was stored; `key` as text, what is not UTF-8 in it escaped."""

    bucket: str
    key: str
    version: str
    words: str


@dataclass(frozen=True, slots=True)
class ImageFault:
    """A layer or a manifest whose bytes are not what was pushed."""

    digest: str
    words: str


@dataclass(frozen=True, slots=True)
class Checked:
    """How many objects and versions were read, how many bytes they have, and which are not whole; likewise the layers
    of container images, and what is not whole of these and of their manifests."""

    objects: int
    size: int
    faults: list[Fault]
    layers: int
    layers_size: int
    image_faults: list[ImageFault]


class _Bad(Exception):
    """What is wrong with an object."""


def check_objects(settings: Settings, ask: Ask, copying: Tell, reading: Tell) -> Checked:
    """Reads every object, every version and every image. `copying` hears of the index's pages or rows, `reading` of
    bytes. Raises StoreFailed, Refused, NotRunning, PlaceError, Unavailable, OSError."""
    faults, image_faults, done = list[Fault](), list[ImageFault](), 0
    with (
        snapshot(ask, ["objects"], settings.database_url, copying) as taken,
        index.opened(taken.folder / "objects.db") as found,
        closing(object_store(settings)) as store,
    ):
        (count, size), (layers, layers_size) = found.objects_size(), found.layers_size()
        for stored in found.objects():
            try:
                _check(store, found, stored)
            except _Bad as bad:
                key = stored.key.decode("utf-8", "backslashreplace")
                faults.append(Fault(stored.bucket, key, stored.version, str(bad)))
            done += stored.size
            reading(done, size + layers_size)
        for layer in found.layers():
            image_faults += _image_faults(layer.digest, _pieces(store, layer.blob), layer.encrypted)
            done += layer.size
            reading(done, size + layers_size)
        for digest, manifest in found.manifests():
            image_faults += _image_faults(digest, [manifest])
    return Checked(count, size, faults, layers, layers_size, image_faults)


def _check(store: ObjectStore, found: Index, stored: Stored) -> None:
    if stored.upload:
        _check_parts(store, found, stored)
    elif stored.blob:
        _compare(_pieces(store, stored.blob), stored, stored.encrypted)
    elif stored.size or not stored.encrypted:  # of an empty one nothing is kept that could be encrypted
        _compare([stored.data or b""], stored, stored.encrypted)


def _check_parts(store: ObjectStore, found: Index, stored: Stored) -> None:
    parts = found.parts(stored.upload)
    for part in parts:
        try:
            _compare(_pieces(store, part.blob), part, stored.encrypted)
        except _Bad as bad:
            raise _Bad(f"part {part.number}: {bad}") from bad
    size = sum(part.size for part in parts)
    if size != stored.size:
        raise _Bad(f"its parts have {size} bytes, not {stored.size}")
    digests = b"".join(bytes.fromhex(part.etag) for part in parts)
    if stored.etag != f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}":
        raise _Bad("its parts are not those that it was made of")


def _pieces(store: ObjectStore, blob: str) -> Iterator[bytes]:
    try:
        with closing(store.read(blob)) as reading:
            yield from reading
    except (FileNotFoundError, Lost) as error:
        raise _Bad("its bytes are missing") from error
    except Damaged as error:
        raise _Bad(str(error)) from error
    except OSError as error:
        raise _Bad(f"its bytes cannot be read ({error.strerror or error})") from error


def _image_faults(digest: str, pieces: Iterable[bytes], encrypted: bool = False) -> list[ImageFault]:
    """One, or none. Of an encrypted layer the checksums of its file have to do."""
    hashed = hashlib.sha256()
    try:
        for piece in pieces:
            hashed.update(piece)
    except _Bad as bad:
        return [ImageFault(digest, str(bad))]
    if encrypted or digest == f"sha256:{hashed.hexdigest()}":
        return []
    return [ImageFault(digest, "its bytes are not those that were pushed")]


def _compare(pieces: Iterable[bytes], this: Stored | Part, encrypted: bool) -> None:
    size = encrypted_size(this.size) if encrypted else this.size
    md5, length = hashlib.md5(usedforsecurity=False), 0
    for piece in pieces:
        md5.update(piece)
        length += len(piece)
    if length != size:
        raise _Bad(f"it has {length} bytes, not {size}")
    if not encrypted and md5.hexdigest() != this.etag:
        raise _Bad("its bytes are not those that were stored")
