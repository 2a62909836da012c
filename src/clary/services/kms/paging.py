"""KMS's pages: Limit, Marker, NextMarker, Truncated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.errors import ServiceError
from clary.services import paging
from clary.services.operation import Call, Document
from clary.store import records
from clary.store.records import Query, Record
from clary.store.schema import records as table

T = TypeVar("T")

Show = Callable[[T], Any]

_LIMIT = 100
_LIMITS = {"ListAliases": 50, "ListGrants": 50, "ListRetirableGrants": 50, "ListResourceTags": 50}
_ALL = 2**31 - 1


def of_records(
    call: Call,
    given: Document,
    kind: str,
    member: str,
    show: Show[Record],
    *conditions: sa.ColumnElement[bool],
    account: str = "",
) -> Document:
    """One page of the records of `kind` in this region, by name: the caller's, or those of `account`."""
    limit, after = given.get("Limit", _LIMITS.get(call.operation, _LIMIT)), _after(call, given)
    wanted = [table.c.name > after] if after else []
    query = Query(kind, account or call.account, call.region, "name", limit + 1, None, [*wanted, *conditions])
    found = call.platform.stores.records.read(lambda connection: records.select(connection, query))
    return _page(call, given, found[:limit], member, show, found[limit - 1].name if len(found) > limit else None)


def of_items(call: Call, given: Document, items: Sequence[tuple[str, T]], member: str, show: Show[T]) -> Document:
    """One page of what is at hand: (place, item) in ascending order of places."""
    limit, after = given.get("Limit", _LIMITS.get(call.operation, _LIMIT)), _after(call, given)
    found = [(place, item) for place, item in items if place > after]
    last = found[limit - 1][0] if len(found) > limit else None
    return _page(call, given, [item for _, item in found[:limit]], member, show, last)


def _page(call: Call, given: Document, items: Sequence[T], member: str, show: Show[T], last: str | None) -> Document:
    answer: Document = {member: [show(item) for item in items], "Truncated": last is not None}
    if last is not None:
        answer["NextMarker"] = paging.issue(_key(call), _binding(call, given), (last,))
    return answer


def _after(call: Call, given: Document) -> str:
    """Where the last page ended. Raises InvalidMarkerException."""
    if not given.get("Marker"):
        return ""
    try:
        return str(paging.redeem(_key(call), _binding(call, given), given["Marker"])[0])
    except ServiceError:
        message = "The marker is not one of this listing's."
        raise ServiceError("InvalidMarkerException", message) from None


def _key(call: Call) -> bytes:
    return paging.signing_key(call.platform.stores.records)


def _binding(call: Call, given: Document) -> list[Any]:
    asked = {name: value for name, value in given.items() if name not in ("Limit", "Marker")}
    return [call.operation, call.account, call.region, asked]


def children(connection: Connection, kind: str, parent: Record) -> list[Record]:
    """All records of `kind` that belong to `parent`."""
    query = Query(kind, parent.account, parent.region, limit=_ALL, parent=parent.arn)
    return records.select(connection, query)
