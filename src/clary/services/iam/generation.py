"""The generation of everything that IAM knows of identities: a number that each write of IAM's makes larger.

What is derived from users, groups, roles, policies and keys may be kept for as long as the number stays. It is the
version of one row of the records database, so that it counts on every server that shares the database.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.services.operation import Call
from clary.store import records
from clary.store.engine import Database
from clary.store.prepared import Prepared
from clary.store.records import Record
from clary.store.schema import records as table

T = TypeVar("T")

ARN = "clary:iam-generation"

_VERSION = Prepared(sa.select(table.c.version).where(table.c.arn == sa.bindparam("arn")))


def current(connection: Connection) -> int:
    """0 before the first write. Costs one look at an index."""
    row = _VERSION.first(connection, {"arn": ARN})
    return 0 if row is None else int(row[0])


def advance(connection: Connection) -> None:
    """To be called in the transaction of every write that may change what somebody is allowed to do. The row counts as
    changed, so that who watches the database (`clary.store.watched`) hears of it."""
    row = records.by_arn(connection, ARN)
    if row is None:
        records.insert(connection, Record("iam-generation", "", "", ARN, None, "", 0.0, 0.0, {}))
    else:
        records.replace(connection, row)


def change(database: Database, work: Callable[[Connection], T]) -> T:
    """`work` as one write of IAM's: its transaction advances the generation."""

    def changing(connection: Connection) -> T:
        result = work(connection)
        advance(connection)
        return result

    return database.write(changing)


def write(call: Call, work: Callable[[Connection], T]) -> T:
    """`change` for an operation."""
    return change(call.platform.stores.records, work)
