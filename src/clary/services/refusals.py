"""Options that are not built yet: refused by name, never accepted and ignored."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias

from clary.errors import option_not_built
from clary.services.operation import Document

_Tree: TypeAlias = "dict[str, _Tree | None]"  # None where a path ends


def refuse(operation: str, given: Document, paths: Iterable[str]) -> None:
    """Raises the "not built" error for the first of `paths` that asks for something.

    A path names members with dots, list items with `[]` ("InputDataConfig[].ShuffleConfig"). Absent, false, zero and
    empty values ask for nothing: clients send `[]`, `{}` and `False` where they mean "without".
    """
    plan = _planned(tuple(paths))
    if not _asks(given, plan.tree):
        return
    for steps, path in plan.paths:
        if any(_values(given, steps)):
            raise option_not_built(operation, path.replace("[]", ""))


class _Plan(NamedTuple):
    """Paths by their steps, in their order, and as a tree without what lies behind a path that is asked for itself."""

    paths: list[tuple[list[str], str]]
    tree: _Tree


@functools.cache  # of the few lists of paths that the code names
def _planned(paths: tuple[str, ...]) -> _Plan:
    split = [(path.replace("[]", ".[]").split("."), path) for path in paths]
    tree: _Tree = {}
    for steps, _ in sorted(split, key=lambda each: len(each[0])):
        node: _Tree | None = tree
        for step in steps[:-1]:
            node = node.setdefault(step, {}) if node is not None else None
        if node is not None:
            node[steps[-1]] = None
    return _Plan(split, tree)


def _asks(value: Any, tree: _Tree | None) -> bool:
    """Whether any path of the tree does: most requests ask for nothing, and that is soon seen."""
    if tree is None:
        return bool(value)
    for step, rest in tree.items():
        if step == "[]":
            if any(_asks(item, rest) for item in value or ()):
                return True
        elif isinstance(value, dict) and step in value and _asks(value[step], rest):
            return True
    return False


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
