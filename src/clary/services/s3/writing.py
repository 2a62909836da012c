"""Bytes into the store: read once, hashed on the way, checked against what the client announced, then indexed."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy.engine import Connection

from clary.context import Platform
from clary.errors import ServiceError
from clary.objects.base import ObjectStore
from clary.services.operation import Call
from clary.services.s3 import checksums, faults
from clary.wire.messages import Body, BytesBody

T = TypeVar("T")

LARGEST_PUT = 5 * 1024**3
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Written:
    """A blob that is durable and in no index yet. `etag` is the MD5 in hexadecimal."""

    blob: str
    size: int
    etag: str
    checksum: checksums.Stored


def receive(call: Call, given: Mapping[str, Any]) -> Written:
    """The request's body as a blob. Raises S3's errors, and keeps nothing, when it is not what its headers say."""
    body: Body = given.get("Body") or BytesBody()
    if isinstance(body, (bytes, bytearray)):
        body = BytesBody(bytes(body))
    announced = checksums.declared(given, call.request.headers)
    md5 = given.get("ContentMD5")
    if md5 is not None:
        checksums.md5_value(md5)
    if body.length is None:
        raise ServiceError("MissingContentLength", "You must provide the Content-Length HTTP header.", 411)
    if body.length > LARGEST_PUT:
        raise too_large(body.length)
    wanted = announced.algorithm if announced else None

    def verify(size: int, digest: bytes, checksum: bytes) -> None:
        if size != body.length:
            message = "You did not provide the number of bytes specified by the Content-Length HTTP header"
            raise ServiceError("IncompleteBody", message)
        if md5 is not None:
            checksums.check_md5(md5, digest)
        if announced is not None:
            value = announced.value or checksums.in_trailer(body, announced.algorithm)
            checksums.check(announced.algorithm, value, checksum)

    return store(call.platform.objects, iter(lambda: body.read(_PIECE), b""), wanted, verify)


def store(
    objects: ObjectStore,
    pieces: Iterator[bytes],
    wanted: checksums.Algorithm | None = None,
    verify: Callable[[int, bytes, bytes], None] = lambda _size, _md5, _checksum: None,
) -> Written:
    """Writes and hashes `pieces`; `verify(size, md5, checksum)` may raise before anything is kept."""
    md5 = hashlib.md5(usedforsecurity=False)
    extra = wanted.new() if wanted else None
    size = 0
    try:
        writer = objects.writer()
        try:
            for piece in pieces:
                writer.write(piece)
                md5.update(piece)
                if extra is not None:
                    extra.update(piece)
                size += len(piece)
            digest = extra.digest() if extra else b""
            verify(size, md5.digest(), digest)
            blob = writer.commit()
        except BaseException:
            writer.abort()
            raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise faults.disk_full() from error
        raise
    return Written(blob, size, md5.hexdigest(), checksums.stored(wanted, digest) if wanted else {})


def commit(platform: Platform, blob: str, work: Callable[[Connection], tuple[T, list[str]]]) -> T:
    """Indexes a new blob: `work` returns its result and the blobs that nothing names any more.

    When `work` refuses (ServiceError) the new blob is deleted. After any other failure it is left to the sweep: the
    transaction may have been committed after all.
    """
    try:
        result, freed = platform.stores.objects.write(work)
    except ServiceError:
        platform.objects.delete(blob)
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
