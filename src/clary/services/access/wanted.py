"""What an operation asks the policies for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from clary.auth.policy import CURRENT, Context, Version
from clary.services.operation import Call, Document

_NO_KEYS: Context = {}


class Wanted(NamedTuple):
    """One action on one resource (an ARN, or "*" for actions about none); `context` are the condition keys that the
    request gives it, lower-cased; `version` is the one of the resource that the operation will use. An operation that
    wants several needs all of them."""

    action: str
    resource: str = "*"
    context: Context = _NO_KEYS
    version: Version = CURRENT


Wants = Callable[[Call, Document], Iterable[Wanted]]


def tags_of(given: Sequence[Mapping[str, Any]] | Mapping[str, str] | None) -> dict[str, str]:
    """Of a list of Key and Value (of whatever case), or of a plain mapping."""
    if isinstance(given, Mapping):
        return dict(given)
    lowered = ({name.lower(): value for name, value in each.items()} for each in given or ())
    return {str(each.get("key") or each.get("tagkey")): str(each.get("value") or "") for each in lowered}


def keys_of(given: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Sequence[str]]:
    """Condition keys from members of a request: `names` says which member gives which key."""
    found: dict[str, Sequence[str]] = {}
    for key, member in names.items():
        value = given.get(member)
        if value is not None:
            found[key] = ("true" if value else "false",) if isinstance(value, bool) else (str(value),)
    return found
