"""What a copy of the object index, and of the registry beside it, names: read from the copy, a private file that no
server has open."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

_BLOBS = """
    SELECT blob, size FROM objects WHERE blob != '' UNION
    SELECT blob, size FROM versions WHERE blob != '' UNION
    SELECT blob, size FROM parts UNION
    SELECT blob, size FROM registry_blobs UNION
    SELECT blob, size FROM registry_parts
"""
_LAYERS = "SELECT digest, blob, size, key IS NOT NULL FROM registry_blobs"
_MANIFESTS = "SELECT digest, manifest FROM registry_images"
_OBJECT = "o.bucket, o.key, o.version, o.blob, o.upload, o.size, o.etag, c.data, o.encryption IS NOT NULL"
_OBJECTS = f"""
    SELECT {_OBJECT} FROM objects o LEFT JOIN contents c ON c.id = o.content UNION ALL
    SELECT {_OBJECT} FROM versions o LEFT JOIN contents c ON c.id = o.content WHERE NOT o.marker
"""
_PARTS = "SELECT number, blob, size, etag FROM parts WHERE upload = ? ORDER BY number"


@dataclass(frozen=True, slots=True)
class Part:
    number: int
    blob: str
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class Stored:
    """An object, or a version of one, and where its bytes are: a blob, the parts of an upload, or `data`; as they were
    put, or `encrypted`."""

    bucket: str
    key: bytes
    version: str
    blob: str
    upload: str
    size: int
    etag: str
    data: bytes | None
    encrypted: bool


@dataclass(frozen=True, slots=True)
class StoredLayer:
    """Of container images: the blob that holds its bytes, `size` of them, as they were pushed or `encrypted`."""

    digest: str
    blob: str
    size: int
    encrypted: bool


class Index:
    """A connection to the copy; `opened` makes one."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def blobs(self) -> Iterator[str]:
        for blob, _ in self._connection.execute(_BLOBS):
            yield str(blob)

    def sizes(self) -> tuple[int, int]:
        """(how many blobs, their bytes)"""
        count, size = self._connection.execute(f"SELECT count(*), coalesce(sum(size), 0) FROM ({_BLOBS})").fetchone()
        return int(count), int(size)

    def objects(self) -> Iterator[Stored]:
        for row in self._connection.execute(_OBJECTS):
            yield Stored(*row)

    def objects_size(self) -> tuple[int, int]:
        """(how many objects and versions, their bytes)"""
        count, size = self._connection.execute(f"SELECT count(*), coalesce(sum(size), 0) FROM ({_OBJECTS})").fetchone()
        return int(count), int(size)

    def layers(self) -> Iterator[StoredLayer]:
        for row in self._connection.execute(_LAYERS):
            yield StoredLayer(*row)

    def layers_size(self) -> tuple[int, int]:
        """(how many layers, their bytes)"""
        count, size = self._connection.execute(f"SELECT count(*), coalesce(sum(size), 0) FROM ({_LAYERS})").fetchone()
        return int(count), int(size)

    def manifests(self) -> Iterator[tuple[str, bytes]]:
        """(digest, bytes) of each image."""
        for digest, manifest in self._connection.execute(_MANIFESTS):
            yield str(digest), bytes(manifest)

    def parts(self, upload: str) -> list[Part]:
        return [Part(*row) for row in self._connection.execute(_PARTS, (upload,))]


@contextmanager
def opened(path: Path) -> Iterator[Index]:
    with closing(sqlite3.connect(path)) as connection:
        yield Index(connection)
