"""The index of what is lent (see `lending`): functions of a connection, to be used inside `Database.read` and
`Database.write`.

A blob is in `objects`, `versions` or `parts` only by the transaction that sets its loan's `answer`: one that has none
was never named.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.store.objects_schema import loans

_MOST = 500  # in one transaction


@dataclass(frozen=True, slots=True)
class Loan:
    """A row of `loans`, see there: `md5` is hexadecimal, `made` epoch seconds; of an object `upload` is "" and
    `number` 0."""

    blob: str
    bucket: str
    key: bytes
    upload: str
    number: int
    size: int
    md5: str
    made: float
    answer: dict[str, Any] | None = None


def add(connection: Connection, loan: Loan) -> None:
    connection.execute(loans.insert().values(**dataclasses.asdict(loan)))


def find(connection: Connection, blob: str) -> Loan | None:
    row = connection.execute(sa.select(loans).where(loans.c.blob == blob)).mappings().first()
    return None if row is None else Loan(**{**row, "key": bytes(row["key"])})


def answer(connection: Connection, blob: str, said: dict[str, Any]) -> None:
    connection.execute(loans.update().where(loans.c.blob == blob).values(answer=said))


def older(connection: Connection, before: float) -> list[str]:
    """Some of the blobs whose loans were made before that."""
    return list(connection.scalars(sa.select(loans.c.blob).where(loans.c.made < before).limit(_MOST)))


def forget(connection: Connection, blobs: Sequence[str]) -> list[str]:
    """Removes these loans; returns the blobs of those that were never entered."""
    these = loans.c.blob.in_(blobs)
    unused = connection.scalars(sa.select(loans.c.blob).where(these, loans.c.answer.is_(None))).all()
    connection.execute(loans.delete().where(these))
    return list(unused)
