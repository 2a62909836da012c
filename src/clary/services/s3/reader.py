"""Objects for the rest of the control plane: read one, write one, without HTTP and signatures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

from sqlalchemy.engine import Connection

from clary.auth.principals import Principal
from clary.context import Platform
from clary.objects.base import FileBody, Joined
from clary.objects.damage import Damaged
from clary.objects.encrypted import Cipher
from clary.services.s3 import (
    access,
    archived,
    damage,
    data_keys,
    encryption_asked,
    entering,
    faults,
    index,
    options,
    uploads,
    writing,
)
from clary.services.s3.data_keys import Encryption
from clary.services.s3.encryption_asked import Asked
from clary.services.s3.index import Entry

_AT_ONCE = 256 * 1024  # bytes


def open_object(platform: Platform, account: str, bucket: str, key: str) -> tuple[int, str, Iterator[bytes]]:
    """(size, etag, pieces) of an object of `account`. Raises ServiceError: NoSuchBucket, NoSuchKey, AccessDenied,
    and what there is about its key."""

    def find(connection: Connection) -> Entry:
        access.bucket_of(connection, account, bucket)
        entry = index.find_whole(connection, bucket, options.key_bytes(key))
        if entry is None:
            raise faults.no_such_key(key)
        return entry

    asker, rounds = _owner(platform, account), Rounds(platform)
    while True:
        entry = platform.stores.objects.read(find)
        archived.check_readable(entry, platform.clock)
        encryption = data_keys.resume(asker, bucket, entry.key, entry.encryption, None)
        with rounds.of(entry):
            return entry.size, entry.etag, pieces(platform, entry, 0, entry.size, encryption)


def put_object(
    platform: Platform, account: str, bucket: str, key: str, data: bytes, content_type: str = "binary/octet-stream"
) -> str:
    """Stores `data` in a bucket of `account`; returns the ETag. Raises ServiceError as `open_object` does."""
    name = options.key_bytes(key)

    def asked(connection: Connection) -> Asked | None:
        return encryption_asked.asked(connection, platform.settings, access.bucket_of(connection, account, bucket), {})

    encryption = data_keys.begin(_owner(platform, account), bucket, name, platform.stores.objects.read(asked))
    written = writing.store(platform.objects, iter([data]), cipher=encryption.cipher if encryption else None)
    entry = Entry(
        bucket,
        name,
        written.size,
        encryption.etag(written.etag) if encryption else written.etag,
        platform.clock.now(),
        blob=written.blob,
        data=written.data,
        headers={"ContentType": content_type},
        encryption=encryption.stored if encryption else None,
    )

    def work(connection: Connection) -> tuple[str, list[str]]:
        found = access.bucket_of(connection, account, bucket)
        return entry.etag, entering.place(connection, found, entry, None)[1]

    return writing.commit(platform, written, work)


def _owner(platform: Platform, account: str) -> data_keys.Asker:
    return data_keys.Asker(platform, Principal("root", account, f"arn:aws:iam::{account}:root", account))


def pieces(platform: Platform, entry: Entry, start: int, length: int, encryption: Encryption | None) -> Iterator[bytes]:
    """`length` bytes of an object (`index.find_whole`) from `start` on. Raises FileNotFoundError at once when it was
    replaced meanwhile; once this returned, replacing and deleting the object do not disturb it. Raises Damaged, where
    what is encrypted is not what was written, and Unavailable: at once when it is about the first of the bytes."""
    found = _pieces(platform, entry, start, length, encryption.cipher if encryption else None)
    return found if isinstance(found, FileBody) else _begun(found)


def body(
    platform: Platform, entry: Entry, start: int, length: int, encryption: Encryption | None
) -> bytes | Iterator[bytes]:
    """As `pieces`; few bytes are read at once, so that damage is an error and not an answer that breaks off."""
    found = pieces(platform, entry, start, length, encryption)
    return b"".join(found) if length <= _AT_ONCE else found


def _begun(pieces: Iterator[bytes]) -> Iterator[bytes]:
    first = next(pieces, b"")
    return chain((first,), pieces) if first else iter(())


def _pieces(platform: Platform, entry: Entry, start: int, length: int, cipher: Cipher | None) -> Iterator[bytes]:
    if entry.blob:
        return _of_blob(platform, cipher, entry.blob, entry.size, start, length)
    if not entry.upload:
        data = _of_data(platform, cipher, entry, start, length)
        return iter((data,) if data else ())
    end = start + length
    parts = platform.stores.objects.read(lambda connection: uploads.list_parts(connection, entry.upload))
    if sum(part.size for part in parts) != entry.size:
        raise FileNotFoundError(entry.upload)
    readings = []
    for part in parts:
        low, high = max(start, part.at), min(end, part.at + part.size)
        if low < high:
            own = cipher and cipher.of(part_name(entry.upload, part.number))
            readings.append(_of_blob(platform, own, part.blob, part.size, low - part.at, high - low))
    return _one_after_another(readings)


def part_name(upload: str, number: int) -> str:
    """What the encrypted bytes of a part are bound to."""
    return f"{upload}/{number}"


def _of_data(platform: Platform, cipher: Cipher | None, entry: Entry, start: int, length: int) -> bytes:
    if cipher is None:
        return of_row(platform, entry, start, length)
    return cipher.decrypt(entry.data, entry.size, start, length) if entry.size else b""  # of nothing, nothing is kept


def of_row(platform: Platform, entry: Entry, start: int, length: int) -> bytes:
    """As `pieces`, of an object whose bytes are in the index as they were put."""
    if hashlib.md5(entry.data, usedforsecurity=False).hexdigest() != entry.etag:
        raise _damaged(platform, entry, "its bytes in the index are not what was written")
    return entry.data[start : start + length]


class Rounds:
    """Rounds of finding an object and opening it: another one when it was replaced in between."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._lost: tuple[str, str] | None = None

    @contextmanager
    def of(self, entry: Entry) -> Iterator[None]:
        """A round that opens `entry`; it ends without an error where there has to be another. Raises Damaged when the
        object is still the one whose bytes were not there."""
        try:
            yield
        except FileNotFoundError:
            here = (entry.blob, entry.upload)
            if here == self._lost:
                raise _damaged(self._platform, entry, "its file, or that of one of its parts, is missing") from None
            self._lost = here


def _damaged(platform: Platform, entry: Entry, words: str) -> Damaged:
    damage.note(platform.settings, platform.clock, entry.bucket, entry.key, entry.version, words)
    return Damaged(words)


def _of_blob(
    platform: Platform, cipher: Cipher | None, blob: str, size: int, start: int, length: int
) -> Iterator[bytes]:
    if cipher is None:
        return platform.objects.read(blob, start, length)
    return cipher.read(platform.objects, blob, size, start, length)


def _one_after_another(readings: list[Iterator[bytes]]) -> Iterator[bytes]:
    files = [each for each in readings if isinstance(each, FileBody)]
    return Joined(files) if len(files) == len(readings) else chain.from_iterable(readings)
