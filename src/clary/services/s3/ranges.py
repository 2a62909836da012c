"""Byte ranges of one object."""

from __future__ import annotations

import re

from clary.errors import ServiceError
from clary.services.s3 import faults

_RANGE = re.compile(r"bytes=(\d{0,20})-(\d{0,20})", re.ASCII)


def parse(header: str | None, size: int) -> tuple[int, int] | None:
    """(start, length); None when there is no range to honour: S3 sends the whole object then, also for several ranges
    and for what is none. Raises InvalidRange (416) when it lies behind the end."""
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or match.group(0) == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < int(first):
            return None
    if start >= end:
        members = {"RangeRequested": header, "ActualObjectSize": size}
        raise ServiceError("InvalidRange", "The requested range is not satisfiable", 416, members)
    return start, end - start


def of_copy(header: str | None, size: int) -> tuple[int, int]:
    """The range of a copied part: both ends are named and lie within the source."""
    if header is None:
        return 0, size
    match = _RANGE.fullmatch(header)
    if match is None or not match.group(1) or not match.group(2) or int(match.group(2)) < int(match.group(1)):
        message = (
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the "
            "zero-based offsets of the first and last bytes to copy"
        )
        raise faults.invalid_argument(message, "x-amz-copy-source-range", header)
    first, last = int(match.group(1)), int(match.group(2))
    if last >= size:
        message = f"Range specified is not valid for source object of size: {size}"
        raise faults.invalid_argument(message, "x-amz-copy-source-range", header)
    return first, last - first + 1
