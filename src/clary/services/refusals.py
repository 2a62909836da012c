"""Options that are not built yet: refused by name, never accepted and ignored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from clary.errors import option_not_built
from clary.services.operation import Document


def refuse(operation: str, given: Document, paths: Iterable[str]) -> None:
    """Raises the "not built" error for the first of `paths` that asks for something.

    A path names members with dots, list items with `[]` ("InputDataConfig[].ShuffleConfig"). Absent, false, zero and
    empty values ask for nothing: clients send `[]`, `{}` and `False` where they mean "without".
    """
    for path in paths:
        if any(_values(given, path.replace("[]", ".[]").split("."))):
            raise option_not_built(operation, path.replace("[]", ""))


def _values(value: Any, steps: list[str]) -> Iterator[Any]:
    if not steps:
        yield value
        return
    step, rest = steps[0], steps[1:]
    if step == "[]":
        for item in value or ():
            yield from _values(item, rest)
    elif isinstance(value, dict) and step in value:
        yield from _values(value[step], rest)
