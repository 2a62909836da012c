"""Secret keys at rest: sealed under the root key, bound to the access key that they belong to."""

from __future__ import annotations

import base64
from typing import Any

from sqlalchemy.engine import Connection

from clary.secrets import RootKey
from clary.services.iam import shapes
from clary.store import records
from clary.store.engine import Database
from clary.store.records import Record
from clary.store.schema import records as table

_PLAIN = {"SecretAccessKey": "SealedSecret", "SessionToken": "SealedToken"}  # as an earlier release kept them
_SESSION = "sts-session"


def seal(root: RootKey, key: str, secret: str) -> str:
    """As a document keeps it."""
    return base64.b64encode(root.seal(secret.encode(), _context(key))).decode("ascii")


def open_sealed(root: RootKey, key: str, sealed: str) -> str:
    """Raises clary.secrets.SealBroken."""
    return root.open(base64.b64decode(sealed), _context(key)).decode()


def _context(key: str) -> bytes:
    return f"secret of {key}".encode()


def seal_earlier(database: Database, root: RootKey) -> None:
    """Seals what an earlier release kept in plain text. Call it at every start, before keys are looked up."""

    def plain(connection: Connection) -> list[Record]:
        kept = table.c.kind.in_((shapes.ACCESS_KEY, _SESSION))
        found = connection.execute(table.select().with_only_columns(table.c.arn).where(kept)).scalars().all()
        every = (records.by_arn(connection, arn) for arn in found)
        return [record for record in every if record is not None and record.document.keys() & _PLAIN.keys()]

    def work(connection: Connection) -> None:
        for record in plain(connection):
            records.replace(connection, record, document=_sealed(root, record))

    if database.read(plain):
        database.write(work)


def _sealed(root: RootKey, record: Record) -> dict[str, Any]:
    document = dict(record.document)
    for name, sealed in _PLAIN.items():
        if name in document:
            document[sealed] = seal(root, str(record.name), document.pop(name))
    return document
