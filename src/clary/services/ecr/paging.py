"""ECR's pages: maxResults and nextToken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from clary.errors import ServiceError
from clary.services import paging
from clary.services.ecr import faults
from clary.services.operation import Call, Document

T = TypeVar("T")

_LIMIT = 100
_ASKED = ("nextToken", "maxResults")


def page(
    call: Call,
    given: Document,
    start: paging.Position,
    look: Callable[[paging.Position, int], Sequence[T]],
    place: Callable[[T], paging.Position],
) -> tuple[Sequence[T], Document]:
    """(items, the answer's nextToken). `look` gives at most so many items behind a position, the first one being
    `start`; `place` says where an item is. Raises InvalidParameterException for a token of another listing."""
    database = call.platform.stores.records
    key, binding = paging.signing_key(database), _binding(call, given)
    limit = given.get("maxResults") or _LIMIT
    found = look(_after(key, binding, given, start), limit + 1)
    if len(found) <= limit:
        return found, {}
    return found[:limit], {"nextToken": paging.issue(key, binding, place(found[limit - 1]))}


def _after(key: bytes, binding: Any, given: Document, start: paging.Position) -> paging.Position:
    if not given.get("nextToken"):
        return start
    try:
        return paging.redeem(key, binding, given["nextToken"])
    except ServiceError:
        raise faults.invalid("nextToken", "Invalid pagination token") from None


def _binding(call: Call, given: Document) -> list[Any]:
    asked = {name: value for name, value in given.items() if name not in _ASKED}
    return [call.operation, call.account, call.region, asked]
