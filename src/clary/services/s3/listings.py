"""Listings: keys in byte order, those below a delimiter rolled up and skipped by a seek, not by a scan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.services.operation import Call, Document, Operations
from clary.services.s3 import access, faults, options, tokens
from clary.services.s3.index import Entry
from clary.store.objects_schema import objects
from clary.store.prepared import Prepared

operations = Operations()

_BATCH = 1001


class Listed(NamedTuple):
    """What listings show of an object: the members of `Entry`, and as cheap as can be, for a page has a thousand."""

    key: bytes
    size: int
    etag: str
    modified: float
    storage_class: str
    checksum: dict[str, str]


_SCAN = (
    sa.select(*(objects.c[name] for name in Listed._fields))
    .where(objects.c.bucket == sa.bindparam("this_bucket"), objects.c.key >= sa.bindparam("start"))
    .order_by(objects.c.key)
    .limit(sa.bindparam("most"))
)
_SCAN_TO_END = Prepared(_SCAN)
_SCAN_TO = Prepared(_SCAN.where(objects.c.key < sa.bindparam("end")))


@dataclass(slots=True)
class Page:
    """One page of a listing: objects and rolled-up prefixes, together at most what was asked for. `last` is the last
    of them when more follow, else None."""

    entries: list[Listed] = field(default_factory=list)
    prefixes: list[bytes] = field(default_factory=list)
    last: bytes | None = None


def page(connection: Connection, bucket: str, prefix: bytes, delimiter: bytes, after: bytes, most: int) -> Page:
    """What comes after `after` (a key or a rolled-up prefix; empty: from the beginning)."""
    found, latest = Page(), b""
    end = successor(prefix)
    position: bytes | None = max(prefix, behind(after, prefix, delimiter)) if after else prefix
    batch = 1 if delimiter else min(most + 1, _BATCH)
    while position is not None and most > 0:
        rows = scan(connection, bucket, position, end, batch)
        rolled = b""
        for entry in rows:
            if rolled and entry.key.startswith(rolled):
                continue
            if len(found.entries) + len(found.prefixes) == most:
                found.last = latest
                return found
            rolled = roll_up(entry.key, prefix, delimiter)
            latest = rolled or entry.key
            if rolled:
                found.prefixes.append(rolled)
            else:
                found.entries.append(entry)
        if len(rows) < batch:
            return found
        position = successor(rolled) if rolled else rows[-1].key + b"\0"
        batch = 1 if rolled else min(8 * batch, _BATCH)  # few, while the next key may be rolled up too
    return found


def scan(connection: Connection, bucket: str, start: bytes, end: bytes | None, limit: int) -> list[Listed]:
    """Objects with start <= key < end, in order."""
    given = {"this_bucket": bucket, "start": start, "most": limit}
    found = _SCAN_TO_END.rows(connection, given) if end is None else _SCAN_TO.rows(connection, given | {"end": end})
    return list(map(Listed._make, found))


def roll_up(key: bytes, prefix: bytes, delimiter: bytes) -> bytes:
    """The common prefix that stands for `key`, empty when the key stands for itself."""
    at = key.find(delimiter, len(prefix)) if delimiter else -1
    return key[: at + len(delimiter)] if at >= 0 else b""


def successor(prefix: bytes) -> bytes | None:
    """The first key behind all that begin with `prefix`; None when there can be none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else None


def behind(after: bytes, prefix: bytes, delimiter: bytes) -> bytes:
    """Where a listing goes on. A marker that is a rolled-up prefix (or lies below one) has all of it behind it."""
    rolled = roll_up(after, prefix, delimiter) if after.startswith(prefix) else b""
    return (successor(rolled) or b"\xff" * (options.LONGEST_KEY + 1)) if rolled == after and rolled else after + b"\0"


_COMMON = ("Prefix", "Delimiter", "MaxKeys", "EncodingType", "OptionalObjectAttributes")


@operations.handles("ListObjectsV2")
@options.understands(*_COMMON, "ContinuationToken", "StartAfter", "FetchOwner")
def list_objects_v2(call: Call, given: Document) -> Document:
    prefix, delimiter = given.get("Prefix", ""), given.get("Delimiter", "")
    token = given.get("ContinuationToken")
    bound = ("ListObjectsV2", given["Bucket"], prefix, delimiter)
    after = given.get("StartAfter", "")
    if token:
        after = tokens.opened(tokens.secret(call.platform), token, bound)
    most, encode = options.limit(given, "MaxKeys", "max-keys"), encoder(given)
    found = _page(call, given, after, most)
    result = _shown(call, given, found, most, encode, bool(given.get("FetchOwner")))
    result["KeyCount"] = len(found.entries) + len(found.prefixes)
    if token is not None:
        result["ContinuationToken"] = token
    if "StartAfter" in given:
        result["StartAfter"] = encode(given["StartAfter"])
    if found.last is not None:
        key = tokens.secret(call.platform)
        result["NextContinuationToken"] = tokens.sealed(key, found.last.decode(), bound)
    return result


@operations.handles("ListObjects")
@options.understands(*_COMMON, "Marker")
def list_objects(call: Call, given: Document) -> Document:
    marker = given.get("Marker", "")
    most, encode = options.limit(given, "MaxKeys", "max-keys"), encoder(given)
    found = _page(call, given, marker, most)
    result = _shown(call, given, found, most, encode, with_owner=True)
    result["Marker"] = encode(marker)
    if found.last is not None and given.get("Delimiter"):
        result["NextMarker"] = encode(found.last.decode())
    return result


def _page(call: Call, given: Document, after: str, most: int) -> Page:
    if given.get("OptionalObjectAttributes"):
        raise faults.not_implemented("x-amz-optional-object-attributes")

    def work(connection: Connection) -> Page:
        bucket = access.enter(connection, call, given)
        prefix, delimiter = given.get("Prefix", "").encode(), given.get("Delimiter", "").encode()
        return page(connection, bucket.name, prefix, delimiter, after.encode(), most)

    return call.platform.stores.objects.read(work)


def _shown(
    call: Call, given: Document, found: Page, most: int, encode: Callable[[str], str], with_owner: bool
) -> Document:
    result: Document = {
        "Name": given["Bucket"],
        "Prefix": encode(given.get("Prefix", "")),
        "MaxKeys": most,
        "IsTruncated": found.last is not None,
        "Contents": [listed(each, encode) for each in found.entries],
        "CommonPrefixes": [{"Prefix": encode(each.decode())} for each in found.prefixes],
    }
    if with_owner and found.entries:
        owner = access.owner_of(call, given["Bucket"])
        result["Contents"] = [{**each, "Owner": owner} for each in result["Contents"]]
    if given.get("Delimiter"):
        result["Delimiter"] = encode(given["Delimiter"])
    if given.get("EncodingType"):
        result["EncodingType"] = given["EncodingType"]
    return result


def listed(entry: Entry | Listed, encode: Callable[[str], str]) -> dict[str, Any]:
    """An object as the listings show it."""
    shown: dict[str, Any] = {
        "Key": encode(entry.key.decode()),
        "LastModified": entry.modified,
        "ETag": f'"{entry.etag}"',
        "Size": entry.size,
        "StorageClass": entry.storage_class,
    }
    if entry.checksum:
        shown["ChecksumAlgorithm"] = [entry.checksum["algorithm"]]
        shown["ChecksumType"] = entry.checksum["type"]
    return shown


def encoder(given: Document) -> Callable[[str], str]:
    """How names are written into the answer: as they are, or percent-encoded (`EncodingType` url)."""
    wanted = given.get("EncodingType")
    if wanted is None:
        return str
    if wanted != "url":
        raise faults.invalid_argument("Invalid Encoding Method specified in Request", "encoding-type", wanted)
    return lambda text: quote(text, safe="/")
