"""Continuation tokens: signed, and good only for the listing (its filters included) that gave them out."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence

from clary.context import Platform
from clary.errors import ServiceError
from clary.services.s3 import faults, index

_SIGNATURE = 16


def secret(platform: Platform) -> bytes:
    """The key that signs this server's tokens, made at first use and the same after a restart."""
    database = platform.stores.objects
    found = database.read(lambda connection: index.find_secret(connection, "tokens"))
    return found or database.write(lambda connection: index.make_secret(connection, "tokens"))


def sealed(key: bytes, position: str, bound: Sequence[str]) -> str:
    """`position` in the listing described by `bound`."""
    data = position.encode()
    return base64.urlsafe_b64encode(_sign(key, data, bound) + data).decode()


def opened(key: bytes, token: str, bound: Sequence[str]) -> str:
    """Raises InvalidArgument for a token that this listing did not give out."""
    try:
        raw = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _wrong(token) from None
    signature, data = raw[:_SIGNATURE], raw[_SIGNATURE:]
    if not hmac.compare_digest(signature, _sign(key, data, bound)):
        raise _wrong(token)
    return data.decode()


def _sign(key: bytes, data: bytes, bound: Sequence[str]) -> bytes:
    message = json.dumps([*bound, data.decode("utf-8", "surrogateescape")]).encode()
    return hmac.digest(key, message, hashlib.sha256)[:_SIGNATURE]


def _wrong(token: str) -> ServiceError:
    return faults.invalid_argument("The continuation token provided is incorrect", "continuation-token", token)
