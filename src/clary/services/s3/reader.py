"""Objects for the rest of the control plane: read one, write one, without HTTP and signatures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import chain

from sqlalchemy.engine import Connection

from clary.context import Platform
from clary.objects.base import FileBody, Joined
from clary.services.s3 import access, entering, faults, index, options, writing
from clary.services.s3.index import Entry

_ATTEMPTS = 20  # how often an object may be replaced between finding and opening it


def open_object(platform: Platform, account: str, bucket: str, key: str) -> tuple[int, str, Iterator[bytes]]:
    """(size, etag, pieces) of an object of `account`. Raises ServiceError: NoSuchBucket, NoSuchKey, AccessDenied."""

    def find(connection: Connection) -> Entry:
        access.bucket_of(connection, account, bucket)
        entry = index.find_whole(connection, bucket, options.key_bytes(key))
        if entry is None:
            raise faults.no_such_key(key)
        return entry

    for _ in range(_ATTEMPTS):
        entry = platform.stores.objects.read(find)
        with suppress(FileNotFoundError):
            return entry.size, entry.etag, pieces(platform, entry, 0, entry.size)
    raise faults.no_such_key(key)


def put_object(
    platform: Platform, account: str, bucket: str, key: str, data: bytes, content_type: str = "binary/octet-stream"
) -> str:
    """Stores `data` in a bucket of `account`; returns the ETag. Raises ServiceError as `open_object` does."""
    name = options.key_bytes(key)
    platform.stores.objects.read(lambda connection: access.bucket_of(connection, account, bucket))
    written = writing.store(platform.objects, iter([data]))
    entry = Entry(
        bucket,
        name,
        written.size,
        written.etag,
        platform.clock.now(),
        blob=written.blob,
        data=written.data,
        headers={"ContentType": content_type},
    )

    def work(connection: Connection) -> tuple[str, list[str]]:
        found = access.bucket_of(connection, account, bucket)
        return entry.etag, entering.place(connection, found, entry, None)[1]

    return writing.commit(platform, written, work)


def pieces(platform: Platform, entry: Entry, start: int, length: int) -> Iterator[bytes]:
    """`length` bytes of an object (`index.find_whole`) from `start` on. Raises FileNotFoundError at once when it was
    replaced meanwhile; once this returned, replacing and deleting the object do not disturb it."""
    if entry.blob:
        return platform.objects.read(entry.blob, start, length)
    if not entry.upload:
        return iter((entry.data[start : start + length],) if length else ())
    end = start + length
    parts = platform.stores.objects.read(lambda connection: index.list_parts(connection, entry.upload))
    if sum(part.size for part in parts) != entry.size:
        raise FileNotFoundError(entry.upload)
    readings = []
    for part in parts:
        low, high = max(start, part.at), min(end, part.at + part.size)
        if low < high:
            readings.append(platform.objects.read(part.blob, low - part.at, high - low))
    return _one_after_another(readings)


def _one_after_another(readings: list[Iterator[bytes]]) -> Iterator[bytes]:
    files = [each for each in readings if isinstance(each, FileBody)]
    return Joined(files) if len(files) == len(readings) else chain.from_iterable(readings)
