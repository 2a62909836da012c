"""User metadata (`x-amz-meta-*`): Unicode text is stored; in headers it travels as RFC 2047 says, both ways."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from email.errors import HeaderParseError
from email.header import decode_header
from typing import Any

from clary.errors import ServiceError
from clary.services.s3 import faults

LARGEST = 2048  # bytes of all names and values
PREFIX = "x-amz-meta-"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]*")  # of RFC 7230: what names of headers are made of
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def received(given: Mapping[str, Any]) -> dict[str, str]:
    """By lower-cased name, encoded words decoded. Raises InvalidArgument for what no header can say when the object is
    read, MetadataTooLarge."""
    told: Mapping[str, str] = given.get("Metadata") or {}
    for name, value in told.items():
        check_header(PREFIX + name, value)
    found = {name.lower(): _decoded(value) for name, value in told.items()}
    size = sum(len(name.encode()) + len(value.encode("utf-8", "replace")) for name, value in found.items())
    if size > LARGEST:
        members = {"Size": size, "MaxSizeAllowed": LARGEST}
        message = "Your metadata headers exceed the maximum allowed metadata size"
        raise ServiceError("MetadataTooLarge", message, 400, members)
    return found


def check_header(name: str, value: str) -> None:
    """That a name and a value make a header. Raises InvalidArgument."""
    if not _TOKEN.fullmatch(name):
        raise faults.invalid_argument("What is to be a header has a name that no header can have.", name, value)
    if _CONTROL.search(value):
        raise faults.invalid_argument("What is to be a header holds a control character.", name, value)


def shown(stored: Mapping[str, str]) -> dict[str, str]:
    """As the member `Metadata` of a result: text beyond ASCII as one encoded word, all other as it is."""
    return {name: value if value.isascii() else _encoded(value) for name, value in stored.items()}


def _encoded(value: str) -> str:
    return f"=?UTF-8?B?{base64.b64encode(value.encode()).decode()}?="


def _decoded(value: str) -> str:
    """A value with an encoded word that is none (or in no known character set) stays as it came."""
    if "=?" not in value:
        return value
    try:
        parts = decode_header(value)
        text = "".join(part if isinstance(part, str) else part.decode(charset or "ascii") for part, charset in parts)
        text.encode()
    except (HeaderParseError, LookupError, UnicodeError, ValueError):
        return value
    return text if text.isprintable() else value
