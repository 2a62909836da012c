"""Request ids."""

from __future__ import annotations

import itertools
import os

_RANDOM = os.urandom(14).hex()  # 80 bits that tell processes apart, and where this one begins to count
_BEGINNING = f"{_RANDOM[:8]}-{_RANDOM[8:12]}-{_RANDOM[12:16]}-{_RANDOM[16:20]}-"
_NUMBERS = itertools.count(int(_RANDOM[20:], 16))


def request_id() -> str:
    """An id in the form of a UUID, as x-amzn-RequestId carries it. It is unique, and no secret."""
    return f"{_BEGINNING}{next(_NUMBERS):012x}"
