"""Options that are not built yet: refused by name, never accepted and ignored."""

from __future__ import annotations

import functools
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
        steps = _steps(path)
        if steps[0] in given and any(_values(given, steps)):
            raise option_not_built(operation, path.replace("[]", ""))


@functools.cache  # of the few paths that the code names
def _steps(path: str) -> list[str]:
    return path.replace("[]", ".[]").split(".")


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
