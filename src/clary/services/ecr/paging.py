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

    def cut(after: paging.Position, limit: int) -> tuple[Sequence[T], bool]:
        found = look(after, limit + 1)
        return found[:limit], len(found) > limit

    return page_cut(call, given, start, cut, place)


def page_cut(
    call: Call,
    given: Document,
    start: paging.Position,
    look: Callable[[paging.Position, int], tuple[Sequence[T], bool]],
    place: Callable[[T], paging.Position],
) -> tuple[Sequence[T], Document]:
    """As `page`, of what `look` may cut shorter: it says besides whether there is more."""
    key, binding = paging.signing_key(call.platform.stores.records), _binding(call, given)
    found, more = look(_after(key, binding, given, start), given.get("maxResults") or _LIMIT)
    return found, {"nextToken": paging.issue(key, binding, place(found[-1]))} if more else {}


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
