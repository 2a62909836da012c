"""What a request may ask for: options that are built are named by the handler, all others are refused aloud."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import wraps
from typing import Any
from urllib.parse import parse_qsl

from clary.errors import ServiceError
from clary.services.operation import Call, Document, Handler, Result
from clary.services.s3 import faults, integrity, user_metadata

_ALWAYS = frozenset({"Bucket", "Key", "ExpectedBucketOwner", "RequestPayer"})
LONGEST_KEY = 1024
# Lifecycle rules move objects from one to a later one.
STORAGE_CLASSES = (
    *("STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR"),
    *("GLACIER", "DEEP_ARCHIVE"),
)
ARCHIVES = STORAGE_CLASSES[-2:]
_ELSEWHERE = frozenset({"SNOW", "OUTPOSTS", "EXPRESS_ONEZONE", "FSX_OPENZFS", "FSX_ONTAP"})
SYSTEM_HEADERS = ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires")
_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_RESERVED = re.compile(r"(xn--|sthree-|amzn-s3-demo-).*|.*(-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)")


def understands(*members: str) -> Callable[[Handler], Handler]:
    """The handler honours these members (and those every operation has), and gets a document that is what its checksum
    says."""
    known = _ALWAYS.union(members)

    def guard(handler: Handler) -> Handler:
        @wraps(handler)
        def guarded(call: Call, given: Document) -> Result:
            for member in given:
                if member not in known:
                    raise faults.not_implemented(member)
            integrity.check_document(call, given)
            return handler(call, given)

        vars(guarded)["understood"] = known  # for the compatibility page
        return guarded

    return guard


def key_of(given: Mapping[str, Any], name: str = "Key") -> bytes:
    return key_bytes(given[name])


def key_bytes(text: str) -> bytes:
    """Raises KeyTooLongError; keys are UTF-8."""
    try:
        key = text.encode()
    except UnicodeEncodeError as error:
        raise ServiceError("InvalidURI", "Couldn't parse the specified URI.") from error
    if len(key) > LONGEST_KEY:
        members = {"Size": len(key), "MaxSizeAllowed": LONGEST_KEY}
        raise ServiceError("KeyTooLongError", "Your key is too long", 400, members)
    return key


def check_bucket_name(name: str) -> None:
    bad = not _BUCKET_NAME.fullmatch(name) or ".." in name or _ADDRESS.fullmatch(name) or _RESERVED.fullmatch(name)
    if bad:
        raise ServiceError("InvalidBucketName", "The specified bucket is not valid.", 400, {"BucketName": name})


def storage_class(given: Mapping[str, Any]) -> str:
    wanted = str(given.get("StorageClass") or "STANDARD")
    if wanted in _ELSEWHERE:
        raise faults.not_implemented(f"x-amz-storage-class: {wanted}")
    if wanted not in STORAGE_CLASSES:
        raise ServiceError("InvalidStorageClass", "The storage class you specified is not valid")
    return wanted


def part_number(given: Mapping[str, Any], largest: int = 10_000) -> int:
    number = int(given["PartNumber"])
    if not 1 <= number <= largest:
        message = f"Part number must be an integer between 1 and {largest}, inclusive"
        raise faults.invalid_argument(message, "partNumber", number)
    return number


def limit(given: Mapping[str, Any], member: str, argument: str, most: int = 1000) -> int:
    """A page size: at most `most`, whatever was asked for."""
    asked = int(given.get(member, most))
    if not 0 <= asked <= 2**31 - 1:
        message = f"Argument {argument} must be an integer between 0 and 2147483647"
        raise faults.invalid_argument(message, argument, asked)
    return min(asked, most)


def system_headers(given: Mapping[str, Any]) -> dict[str, Any]:
    """The headers that are stored with an object and given back with it; Expires as epoch seconds."""
    headers = {name: given[name] for name in SYSTEM_HEADERS if given.get(name) not in (None, "")}
    headers.setdefault("ContentType", "binary/octet-stream")
    if "aws-chunked" in headers.get("ContentEncoding", "").lower():  # framing of the upload, not of the object
        codings = [each.strip() for each in headers.pop("ContentEncoding").split(",")]
        kept = ",".join(each for each in codings if each.lower() != "aws-chunked")
        headers.update({"ContentEncoding": kept} if kept else {})
    if isinstance(headers.get("Expires"), datetime):
        headers["Expires"] = headers["Expires"].timestamp()
    return headers


def shown_headers(stored: Mapping[str, Any]) -> dict[str, Any]:
    """`system_headers` as members of a result."""
    shown = dict(stored)
    if isinstance(shown.get("Expires"), (int, float)):
        shown["Expires"] = datetime.fromtimestamp(shown["Expires"], UTC)
    return shown


def description(given: Mapping[str, Any]) -> dict[str, Any]:
    """What is said about a new object: columns of its row."""
    return {
        "storage_class": storage_class(given),
        "headers": system_headers(given),
        "metadata": user_metadata.received(given),
        "tags": tags_of_header(given),
    }


def tags_of_header(given: Mapping[str, Any]) -> dict[str, str]:
    """The `x-amz-tagging` header: `name=value&name=value`, percent-encoded."""
    pairs = parse_qsl(given.get("Tagging") or "", keep_blank_values=True)
    return tags_of_set([{"Key": name, "Value": value} for name, value in pairs], most=10)


def tags_of_set(tag_set: list[dict[str, str]], most: int) -> dict[str, str]:
    tags: dict[str, str] = {}
    for each in tag_set:
        name, value = each.get("Key", ""), each.get("Value", "")
        if name in tags:
            raise _invalid_tag("Cannot provide multiple Tags with the same key", name)
        if not 1 <= len(name) <= 128 or name.lower().startswith("aws:"):
            raise _invalid_tag("The TagKey you have provided is invalid", name)
        if len(value) > 256:
            raise _invalid_tag("The TagValue you have provided is invalid", name)
        tags[name] = value
    if len(tags) > most:
        kind = "Object" if most == 10 else "Bucket"
        raise ServiceError("BadRequest", f"{kind} tags cannot be greater than {most}")
    return tags


def _invalid_tag(message: str, name: str) -> ServiceError:
    return ServiceError("InvalidTag", message, 400, {"TagKey": name})
