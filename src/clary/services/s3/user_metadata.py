"""User metadata (`x-amz-meta-*`): Unicode text is stored; in headers it travels as RFC 2047 says, both ways."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from email.errors import HeaderParseError
from email.header import decode_header
from typing import Any

from clary.errors import ServiceError

LARGEST = 2048  # bytes of all names and values


def received(given: Mapping[str, Any]) -> dict[str, str]:
    """By lower-cased name, encoded words decoded. Raises MetadataTooLarge."""
    found = {name.lower(): _decoded(value) for name, value in (given.get("Metadata") or {}).items()}
    size = sum(len(name.encode()) + len(value.encode("utf-8", "replace")) for name, value in found.items())
    if size > LARGEST:
        members = {"Size": size, "MaxSizeAllowed": LARGEST}
        message = "Your metadata headers exceed the maximum allowed metadata size"
        raise ServiceError("MetadataTooLarge", message, 400, members)
    return found


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
