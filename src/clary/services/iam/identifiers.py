"""Unique ids, access keys and secrets, shaped as AWS shapes them."""

from __future__ import annotations

import base64
import secrets

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


def unique_id(prefix: str) -> str:
    """AROA (role), AIDA (user) or ANPA (policy) and 17 random characters."""
    return prefix + _random(17)


def access_key(prefix: str) -> str:
    """AKIA (long-term) or ASIA (of a session) and 16 random characters."""
    return prefix + _random(16)


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def secret_key() -> str:
    """40 characters, 240 random bits."""
    return base64.b64encode(secrets.token_bytes(30)).decode("ascii")


def session_token() -> str:
    """356 characters, more than 2,000 bits of them random; it begins as AWS's do."""
    return "FQoGZXIvYXdzE" + base64.b64encode(secrets.token_bytes(258)).decode("ascii")[:343]
