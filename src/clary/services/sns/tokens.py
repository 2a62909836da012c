"""Tokens by which whoever gets a subscription's messages confirms it: nobody can make one without the root key, and
none is stored."""

from __future__ import annotations

import hmac
import uuid

from clary.secrets import RootKey
from clary.store.records import Record

_CONTEXT = b"sns confirmation "
_DIGITS = 32  # of the subscription's identifier, with which a token begins


def token(secrets: RootKey, subscription: Record) -> str:
    """The same one until the subscription's nonce changes: 160 hexadecimal digits."""
    identifier = uuid.UUID(subscription.arn.rpartition(":")[2])
    nonce = bytes.fromhex(subscription.document["Nonce"])
    drawn = (secrets.digest(nonce, _CONTEXT + bytes([part]) + subscription.arn.encode()) for part in (1, 2))
    return identifier.hex + b"".join(drawn).hex()


def subscription_of(topic: str, text: str) -> str | None:
    """The ARN of the subscription that the token would be of; None for what is no token."""
    try:
        identifier = uuid.UUID(text[:_DIGITS])
        bytes.fromhex(text[_DIGITS:])
    except ValueError:
        return None
    return f"{topic}:{identifier}" if len(text) == _DIGITS + 128 and text.isascii() else None


def is_good(secrets: RootKey, subscription: Record, text: str, now: float) -> bool:
    """Whether it is the subscription's, and in time."""
    late = subscription.until is not None and subscription.until <= now
    return not late and hmac.compare_digest(token(secrets, subscription), text)
