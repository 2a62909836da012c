"""Records, version 2 to 3: users have policies and groups, sessions the terms that they were opened on."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

_RECORDS = sa.table(
    "records", sa.column("arn", sa.String), sa.column("kind", sa.String), sa.column("document", sa.JSON)
)
_USER: dict[str, Any] = {"InlinePolicies": {}, "AttachedPolicies": [], "Groups": []}
_SESSION: dict[str, Any] = {"Policies": [], "Tags": {}, "TransitiveTagKeys": [], "Context": {}}


def add(connection: Connection) -> None:
    for arn, document in _of_kind(connection, "iam-user"):
        _write(connection, arn, _USER | document)
    for arn, document in _of_kind(connection, "sts-session"):
        if document.pop("Recorded", None):
            # It was opened to do less than its role may, which is now held to: its owner opens another.
            connection.execute(_RECORDS.delete().where(_RECORDS.c.arn == arn))
        else:
            _write(connection, arn, _SESSION | document)


def _of_kind(connection: Connection, kind: str) -> list[tuple[str, dict[str, Any]]]:
    rows = connection.execute(sa.select(_RECORDS.c.arn, _RECORDS.c.document).where(_RECORDS.c.kind == kind))
    return [(row.arn, row.document) for row in rows]


def _write(connection: Connection, arn: str, document: dict[str, Any]) -> None:
    connection.execute(_RECORDS.update().where(_RECORDS.c.arn == arn).values(document=document))
