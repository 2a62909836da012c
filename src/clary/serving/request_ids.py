"""Request ids."""

from __future__ import annotations

import os


def request_id() -> str:
    """A random id in the form of a UUID, as x-amzn-RequestId carries it."""
    text = os.urandom(16).hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
