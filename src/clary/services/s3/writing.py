"""Bytes into the store: read once, hashed on the way, checked against what the client announced, then indexed.

An object of at most `SMALL` bytes has no file: its bytes are entered with its row, and one commit makes both durable.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeVar

from sqlalchemy.engine import Connection

from clary.context import Platform
from clary.errors import ServiceError
from clary.objects.base import ObjectStore
from clary.objects.encrypted import Cipher
from clary.services.operation import Call
from clary.services.s3 import checksums, faults, form_upload
from clary.services.s3.hashing import Beside
from clary.wire.messages import Body, BytesBody

T = TypeVar("T")
Verify = Callable[[int, bytes, bytes], None]

LARGEST_PUT = 5 * 1024**3
SMALL = 16 * 1024
NEVER_SMALL = -1  # always a blob, be it empty
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Written:
    """Bytes that are in no index yet: a blob that is durable, or the `data` themselves when they are few, encrypted or
    not. `size`, `etag` (the MD5 in hexadecimal) and `checksum` are of the bytes as they came."""

    blob: str
    data: bytes
    size: int
    etag: str
    checksum: checksums.Stored


def receive(call: Call, given: Mapping[str, Any], small: int = SMALL, cipher: Cipher | None = None) -> Written:
    """The request's body, stored; encrypted where there is a `cipher`. Raises S3's errors, and keeps nothing, when it
    is not what its headers say."""
    body: Body = given.get("Body") or BytesBody()
    if isinstance(body, (bytes, bytearray)):
        body = BytesBody(bytes(body))
    announced = checksums.declared(given, call.request.headers)
    md5 = given.get("ContentMD5")
    if md5 is not None:
        checksums.md5_value(md5)
    if body.length is None and not form_upload.is_one(call):
        raise form_upload.without_length()
    if body.length is not None and body.length > LARGEST_PUT:
        raise too_large(body.length)
    wanted = announced.algorithm if announced else None

    def verify(size: int, digest: bytes, checksum: bytes) -> None:
        if body.length is not None and size != body.length:
            message = "You did not provide the number of bytes specified by the Content-Length HTTP header"
            raise ServiceError("IncompleteBody", message)
        if md5 is not None:
            checksums.check_md5(md5, digest)
        if announced is not None:
            value = announced.value or checksums.in_trailer(body, announced.algorithm)
            checksums.check(announced.algorithm, value, checksum)

    pieces: Iterator[bytes] = iter(lambda: body.read(_PIECE), b"")
    if body.length is None:
        pieces = _bounded(pieces)
    return store(call.platform.objects, pieces, wanted, verify, small, body, cipher)


def _bounded(pieces: Iterator[bytes]) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > LARGEST_PUT:
            raise too_large(size)
        yield piece


def store(
    objects: ObjectStore,
    pieces: Iterator[bytes],
    wanted: checksums.Algorithm | None = None,
    verify: Verify = lambda _size, _md5, _checksum: None,
    small: int = SMALL,
    source: Body | None = None,
    cipher: Cipher | None = None,
) -> Written:
    """Hashes `pieces` and writes them to a blob, unless they are `small` bytes or less. `verify(size, md5, checksum)`
    may raise before anything is kept. `source` is the body that they are read from, if from one
    alone; `cipher` encrypts what is kept."""
    first, pieces = _beginning(pieces, small + 1)
    if len(first) <= small:
        return _small(first, wanted, verify, cipher)
    try:
        return _large(objects, chain((first,), pieces), wanted, verify, source, cipher)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise faults.disk_full() from error
        raise


def _beginning(pieces: Iterator[bytes], size: int) -> tuple[bytes, Iterator[bytes]]:
    """At least `size` bytes, fewer when there are no more; and the pieces that follow them."""
    first = next(pieces, b"")
    while len(first) < size and (piece := next(pieces, b"")):
        first += piece
    return first, pieces


def _small(data: bytes, wanted: checksums.Algorithm | None, verify: Verify, cipher: Cipher | None) -> Written:
    digest = hashlib.md5(data, usedforsecurity=False)
    checksum = b""
    if wanted is not None:
        extra = wanted.new()
        extra.update(data)
        checksum = extra.digest()
    verify(len(data), digest.digest(), checksum)
    kept = cipher.encrypt(data) if cipher and data else data
    return Written("", kept, len(data), digest.hexdigest(), checksums.stored(wanted, checksum) if wanted else {})


def _large(
    objects: ObjectStore,
    pieces: Iterator[bytes],
    wanted: checksums.Algorithm | None,
    verify: Verify,
    source: Body | None,
    cipher: Cipher | None,
) -> Written:
    md5, extra, size = Beside(hashlib.md5(usedforsecurity=False)), wanted.new() if wanted else None, 0
    writer = cipher.writer(objects.writer()) if cipher else objects.writer()
    try:
        for piece in pieces:
            md5.update(piece)
            writer.write(piece)
            if extra is not None:
                extra.update(piece)
            if source is not None and not size:
                writer.land(source)
            size += len(piece)
        digest, checksum = md5.digest(), extra.digest() if extra else b""
        verify(size, digest, checksum)
        blob = writer.commit()
    except BaseException:
        writer.abort()
        raise
    finally:
        md5.close()
    return Written(blob, b"", size, digest.hex(), checksums.stored(wanted, checksum) if wanted else {})


def commit(platform: Platform, written: Written, work: Callable[[Connection], tuple[T, list[str]]]) -> T:
    """Indexes what was written: `work` returns its result and the blobs that nothing names any more.

    When `work` refuses (ServiceError) the new blob is deleted. After any other failure it is left to the sweep: the
    transaction may have been committed after all.
    """
    try:
        result, freed = platform.stores.objects.write(work)
    except ServiceError:
        if written.blob:
            platform.objects.delete(written.blob)
        raise
    discard(platform, freed)
    return result


def discard(platform: Platform, blobs: list[str]) -> None:
    """Deletes blobs that no row names any more. A crash in between leaves them to the sweep."""
    for blob in blobs:
        platform.objects.delete(blob)


def too_large(size: int) -> ServiceError:
    message = "Your proposed upload exceeds the maximum allowed size"
    return ServiceError("EntityTooLarge", message, 400, {"ProposedSize": size, "MaxSizeAllowed": LARGEST_PUT})
