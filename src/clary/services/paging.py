"""Continuation tokens: opaque, signed with a key of this store, bound to one operation and its filters.

A token holds where the last page ended, so that whatever is created or deleted meanwhile, an item
that exists during the whole listing appears exactly once. The key is a record: tokens survive restarts and are good
on every server that shares the store.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from typing import Any

from sqlalchemy.engine import Connection

from clary.errors import validation
from clary.store import records
from clary.store.engine import Database
from clary.store.records import NameTaken, Record

Position = tuple[Any, ...]

_KEY_ARN = "clary:paging-key"
_SIGNATURE_BYTES = 16


def signing_key(database: Database) -> bytes:
    """The store's token key, made at first use."""
    return database.read(known_key) or database.write(_make_key)


def known_key(connection: Connection) -> bytes | None:
    """The store's token key if there was a use for one before."""
    found = records.by_arn(connection, _KEY_ARN)
    return None if found is None else bytes.fromhex(found.document["Key"])


def _make_key(connection: Connection) -> bytes:
    key = secrets.token_bytes(32)
    try:
        records.insert(connection, Record("paging-key", "", "", _KEY_ARN, None, "", 0.0, 0.0, {"Key": key.hex()}))
    except NameTaken:  # somebody else was first
        return known_key(connection) or key
    return key


def issue(key: bytes, binding: Any, position: Position) -> str:
    """A token for the page after `position`. `binding` is any JSON value that names the operation and its filters."""
    payload = json.dumps(position, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_sign(key, binding, payload) + payload).decode()


def redeem(key: bytes, binding: Any, token: str) -> Position:
    """Where the token's page ended. Raises ValidationException for a forged token and for one of another listing."""
    try:
        raw = base64.urlsafe_b64decode(token.encode())
    except ValueError:
        raise _invalid() from None
    signature, payload = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _sign(key, binding, payload)):
        raise _invalid()
    return tuple(json.loads(payload))


def _sign(key: bytes, binding: Any, payload: bytes) -> bytes:
    bound = json.dumps(binding, sort_keys=True, separators=(",", ":")).encode()
    message = hashlib.sha256(bound).digest() + payload
    return hmac.digest(key, message, "sha256")[:_SIGNATURE_BYTES]


def _invalid() -> Exception:
    return validation("Invalid pagination token: NextToken was not issued for this request.")
