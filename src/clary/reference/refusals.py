"""Which options the operations refuse by name, read from the very code that refuses them.

Two sources: calls of the functions that raise a "not built" error, found in the syntax trees of a service's modules,
and the members that an S3 operation understands, which leave the rest of its input refused.
"""

from __future__ import annotations

import ast
import functools
import importlib
import pkgutil
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from botocore.model import OperationModel

from clary.services.operation import Handler

REFUSING = frozenset({"refuse", "option_not_built", "not_built", "not_implemented", "not_offered", "no_volume_key"})
ANY = ""

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def by_name(package: ModuleType) -> dict[str, list[str]]:
    """Operation (ANY where several share the code) -> what it refuses, for all modules of a service."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        for operation, text in _Module(importlib.import_module(info.name)).refusals():
            found[operation].add(text)
    return {operation: sorted(texts) for operation, texts in found.items()}


def not_understood(handler: Handler, operation: OperationModel) -> list[str]:
    """Input members that the handler's guard refuses, where it has one."""
    understood = vars(handler).get("understood") if hasattr(handler, "__dict__") else None
    if understood is None or operation.input_shape is None:
        return []
    return sorted(operation.input_shape.members.keys() - understood)


@dataclass(frozen=True, slots=True)
class _Site:
    """One call that refuses, and where it stands."""

    call: ast.Call
    function: _Function
    loops: Mapping[str, ast.expr]


class _Module:
    """One module of a service."""

    def __init__(self, module: ModuleType) -> None:
        assert module.__file__ is not None
        tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        self._globals = vars(module)
        self._functions = {each.name: each for each in ast.walk(tree) if isinstance(each, _Function)}

    def refusals(self) -> Iterator[tuple[str, str]]:
        for function in self._functions.values():
            loops = {
                each.target.id: each.iter
                for each in ast.walk(function)
                if isinstance(each, ast.For) and isinstance(each.target, ast.Name)
            }
            for call in _calls(function):
                if _name(call.func) in REFUSING:
                    yield from self._site(_Site(call, function, loops))

    def _site(self, site: _Site) -> Iterator[tuple[str, str]]:
        *before, asked = site.call.args
        operations = [named] if before and (named := self._text(before[0])) else self._reaching(site.function.name)
        for text in self._texts(asked, site):
            for operation in operations or [ANY]:
                yield operation, text

    def _texts(self, asked: ast.expr, site: _Site) -> list[str]:
        if isinstance(asked, ast.Name) and asked.id in site.loops:
            asked = site.loops[asked.id]
        match asked:
            case ast.JoinedStr():
                return ["".join(self._text(part) or "…" for part in asked.values)]
            case ast.Tuple():
                return [text for each in asked.elts if (text := self._text(each))]
            case ast.Name() if isinstance(self._globals.get(asked.id), tuple):
                return list(self._globals[asked.id])
            case _:
                text = self._text(asked)
                return [text] if text else []

    def _text(self, node: ast.expr) -> str:
        match node:
            case ast.Constant(value=str(text)):
                return text
            case ast.Name() if isinstance(self._globals.get(node.id), str):
                return str(self._globals[node.id])
            case _:
                return ""

    def _reaching(self, name: str) -> list[str]:
        """The operations whose handlers come to the function of that name within the module."""
        return [
            operation
            for handler in self._functions.values()
            if name in self._reached(handler.name)
            for operation in _handled(handler)
        ]

    @functools.cache  # noqa: B019  the object lives as long as one page takes
    def _reached(self, name: str) -> frozenset[str]:
        reached, open_ = {name}, [name]
        while open_:
            for called in map(_name, (each.func for each in _calls(self._functions[open_.pop()]))):
                if called in self._functions and called not in reached:
                    reached.add(called)
                    open_.append(called)
        return frozenset(reached)


def _calls(function: _Function) -> Iterator[ast.Call]:
    return (each for each in ast.walk(function) if isinstance(each, ast.Call))


def _name(function: ast.expr) -> str:
    match function:
        case ast.Name():
            return function.id
        case ast.Attribute():
            return function.attr
        case _:
            return ""


def _handled(function: _Function) -> Iterator[str]:
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and _name(decorator.func) == "handles":
            for argument in decorator.args:
                if isinstance(argument, ast.Constant):
                    yield str(argument.value)
