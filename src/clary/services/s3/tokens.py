"""Continuation tokens: signed, and good only for the listing (its filters included) that gave them out."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets as random
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.context import Platform
from clary.errors import ServiceError
from clary.services.s3 import faults
from clary.store.objects_schema import secrets

_NAME = "tokens"
_SIGNATURE = 16


def secret(platform: Platform) -> bytes:
    """The key that signs this server's tokens, made at first use and the same after a restart."""
    database = platform.stores.objects
    return database.read(_find_secret) or database.write(_make_secret)


def _find_secret(connection: Connection) -> bytes | None:
    return connection.scalar(sa.select(secrets.c.value).where(secrets.c.name == _NAME))


def _make_secret(connection: Connection) -> bytes:
    value = _find_secret(connection)
    if value is None:
        value = random.token_bytes(32)
        connection.execute(secrets.insert().values(name=_NAME, value=value))
    return value


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
