"""To find the object, or the version of it, that a request names."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.engine import Connection

from clary.errors import ServiceError
from clary.services.s3 import faults, index, options, versions
from clary.services.s3.index import Bucket, Entry

Search = Callable[[Connection, str, bytes], Entry | None]  # `index.find` or `index.find_whole`


def seek(connection: Connection, bucket: Bucket, name: str, version: str | None, search: Search = index.find) -> Entry:
    """The current object of the key `name`, or that version of it. Raises NoSuchKey, NoSuchVersion, InvalidArgument for
    what is no version's identifier, and for a delete marker what S3 answers."""
    key = options.key_bytes(name)
    current = search(connection, bucket.name, key)
    if version is None:
        if current is None:
            raise _absent(connection, bucket, name, key)
        return current
    if not versions.is_id(version):
        raise faults.invalid_argument("Invalid version id specified", "versionId", version)
    if current is not None and current.version == version:
        return current
    kept = versions.find(connection, bucket.name, key, version)
    if kept is None:
        raise faults.no_such_version(name, version)
    if kept.marker:
        raise faults.marker_named(version, kept.entry.modified)
    return kept.entry


def _absent(connection: Connection, bucket: Bucket, name: str, key: bytes) -> Exception:
    kept = versions.newest(connection, bucket.name, key) if bucket.versioning else None
    return faults.no_such_key(name) if kept is None else faults.delete_marker(name, kept.entry.version)


def present(connection: Connection, bucket: Bucket, name: str, version: str | None) -> Entry | None:
    """What `seek` finds; None where there is nothing."""
    try:
        return seek(connection, bucket, name, version)
    except ServiceError:
        return None
