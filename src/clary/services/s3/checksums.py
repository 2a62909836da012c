"""The checksums clients send with their data and get back with it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from clary.errors import ServiceError
from clary.services.s3 import crc, faults
from clary.wire.messages import Headers

Stored = dict[str, str]  # {"algorithm": "CRC32", "value": base64, "type": "FULL_OBJECT" or "COMPOSITE"}; {} for none


class Hash(Protocol):
    """What hashlib's objects and our own CRCs have in common."""

    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


@dataclass(frozen=True, slots=True)
class Algorithm:
    """`polynomial` is that of a CRC, whose values of parts can be joined; 0 for the others. `size` is in bytes."""

    name: str
    size: int
    new: Callable[[], Hash]
    polynomial: int = 0

    @property
    def header(self) -> str:
        return f"x-amz-checksum-{self.name.lower()}"

    @property
    def member(self) -> str:
        return f"Checksum{self.name}"


ALGORITHMS: Mapping[str, Algorithm] = {
    each.name: each
    for each in (
        Algorithm("CRC32", 4, _Crc32, crc.CRC32),
        Algorithm("CRC32C", 4, lambda: crc.Crc(32, crc.CRC32C), crc.CRC32C),
        Algorithm("CRC64NVME", 8, lambda: crc.Crc(64, crc.CRC64NVME), crc.CRC64NVME),
        Algorithm("SHA1", 20, lambda: hashlib.sha1(usedforsecurity=False)),
        Algorithm("SHA256", 32, hashlib.sha256),
        Algorithm("SHA512", 64, hashlib.sha512),
        Algorithm("MD5", 16, lambda: hashlib.md5(usedforsecurity=False)),
    )
}
MEMBERS = frozenset(each.member for each in ALGORITHMS.values())


def algorithm(name: str) -> Algorithm:
    """Raises S3's error for one that does not exist or is not built."""
    if name in ALGORITHMS:
        return ALGORITHMS[name]
    if name.startswith("XXHASH"):
        raise faults.not_implemented(f"x-amz-checksum-{name.lower()}")
    raise faults.invalid_request(
        "Checksum algorithm provided is unsupported. Please try again with any of the valid types"
    )


@dataclass(frozen=True, slots=True)
class Declared:
    """The checksum a client announces. `value` is base64; None when it comes in the trailer."""

    algorithm: Algorithm
    value: str | None


def declared(given: Mapping[str, Any], headers: Headers) -> Declared | None:
    """What the headers announce. Raises InvalidRequest when they contradict themselves."""
    values = {each: given[each.member] for each in ALGORITHMS.values() if each.member in given}
    trailers = [name.strip().lower() for line in headers.all("x-amz-trailer") for name in line.split(",")]
    trailing = [algorithm(name[15:].upper()) for name in trailers if name.startswith("x-amz-checksum-")]
    if len(values) + len(trailing) > 1:
        raise faults.invalid_request(
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
        )
    for each, value in values.items():
        _decoded(each, value)
        return Declared(each, value)
    if trailing:
        return Declared(trailing[0], None)
    if given.get("ChecksumAlgorithm") and "x-amz-sdk-checksum-algorithm" in headers:
        raise faults.invalid_request(
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers "
            "were found."
        )
    return None


def in_trailer(body: object, wanted: Algorithm) -> str:
    """The value that followed the body. Raises when it is missing."""
    trailers: Mapping[str, str] = getattr(body, "trailers", {})
    for name, value in trailers.items():
        if name.lower() == wanted.header:
            _decoded(wanted, value.strip())
            return value.strip()
    raise ServiceError(
        "MalformedTrailerError",
        "The request contained trailing data that was not well-formed or did not conform to our published schema.",
    )


def check(wanted: Algorithm, value: str, digest: bytes) -> None:
    if _decoded(wanted, value) != digest:
        raise bad_digest(wanted)


def bad_digest(wanted: Algorithm) -> ServiceError:
    return ServiceError("BadDigest", f"The {wanted.name} you specified did not match the calculated checksum.")


def check_md5(value: str, digest: bytes) -> None:
    """Content-MD5 against the MD5 of the body."""
    wanted = md5_value(value)
    if wanted != digest:
        members = {"ExpectedDigest": wanted.hex(), "CalculatedDigest": base64.b64encode(digest).decode()}
        raise ServiceError("BadDigest", "The Content-MD5 you specified did not match what we received.", 400, members)


def md5_value(value: str) -> bytes:
    try:
        decoded = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if len(decoded) != 16:
        raise ServiceError("InvalidDigest", "The Content-MD5 you specified was invalid.", 400, {"Content-MD5": value})
    return decoded


def stored(used: Algorithm, digest: bytes, kind: str = "FULL_OBJECT") -> Stored:
    return {"algorithm": used.name, "value": base64.b64encode(digest).decode(), "type": kind}


def members(checksum: Stored, with_type: bool = True) -> dict[str, str]:
    """As members of a result: {"ChecksumCRC32": ..., "ChecksumType": ...}."""
    if not checksum:
        return {}
    found = {f"Checksum{checksum['algorithm']}": checksum["value"]}
    return {**found, "ChecksumType": checksum["type"]} if with_type else found


def composite(used: Algorithm, digests: Sequence[str]) -> Stored:
    """The checksum of the parts' checksums, with their number."""
    whole = used.new()
    whole.update(b"".join(base64.b64decode(each) for each in digests))
    value = f"{base64.b64encode(whole.digest()).decode()}-{len(digests)}"
    return {"algorithm": used.name, "value": value, "type": "COMPOSITE"}


def joined(used: Algorithm, parts: Iterable[tuple[str, int]]) -> Stored:
    """The checksum of the whole from (base64, size) of each part: CRCs only."""
    whole = used.new().digest()
    for value, size in parts:
        whole = crc.join(whole, base64.b64decode(value), size, used.polynomial)
    return stored(used, whole)


def _decoded(wanted: Algorithm, value: str) -> bytes:
    try:
        decoded = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if len(decoded) != wanted.size:
        raise faults.invalid_request(f"Value for {wanted.header} header is invalid.")
    return decoded
