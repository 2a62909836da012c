"""The constraints that shapes state, checked and told in AWS's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from clary.errors import validation
from clary.wire import patterns

Check = Callable[[Any, str, list[str]], None]  # (value, member path, errors found so far)
Constraint = tuple[str, Callable[[Any], bool]]  # what AWS says of it, and whether a value keeps it
_SHOWN = 2048  # characters of a value in a message
_LENGTHS = ("string", "blob")
_NUMBERS = ("integer", "long", "float", "double")


def validate(shape: Shape | None, params: Mapping[str, Any]) -> None:
    """Holds parameters (as `protocols.parse` gives them, so of the right types) to every constraint of their shape:
    required members, lengths, ranges, sizes, patterns, enumerations.

    Raises ServiceError("ValidationException") that counts and names all that failed.
    """
    if shape is None:
        return
    # Kept on the shape, which the operation model keeps.
    check: Check | None = vars(shape).get("_clary_check")
    if check is None:
        check = vars(shape).setdefault("_clary_check", _Compiler().check(shape) or _accept)
    errors: list[str] = []
    check(params, "", errors)
    if errors:
        noun = "error" if len(errors) == 1 else "errors"
        raise validation(f"{len(errors)} validation {noun} detected: {'; '.join(errors)}")


def _accept(value: Any, path: str, errors: list[str]) -> None:
    return


class _Compiler:
    """Turns shapes into checks; None for a shape that accepts every value of its type."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Check | None] = {}

    def check(self, shape: Shape) -> Check | None:
        key = (shape.name, repr(sorted(shape.metadata.items(), key=lambda item: item[0])))
        if key in self._known:
            return self._known[key]
        if isinstance(shape, StructureShape):
            return self._structure(shape, key)
        if isinstance(shape, ListShape):
            return self._list(shape, key)
        if isinstance(shape, MapShape):
            return self._map(shape, key)
        self._known[key] = _scalar(shape)
        return self._known[key]

    def _structure(self, shape: StructureShape, key: tuple[str, str]) -> Check:
        required: list[tuple[str, str]] = [(name, _camel(name)) for name in shape.required_members]
        members: dict[str, tuple[str, Check]] = {}

        def check(value: Any, path: str, errors: list[str]) -> None:
            start = f"{path}." if path else ""
            for name, camel in required:
                if value.get(name) is None:
                    errors.append(_failure("Value null", start + camel, "Member must not be null"))
            for name, item in value.items():
                known = members.get(name)
                if known is not None and item is not None:
                    known[1](item, start + known[0], errors)

        # Entered before its members are compiled: shapes may contain themselves.
        self._known[key] = check
        for name, member in shape.members.items():
            if member.serialization.get("streaming") or member.serialization.get("eventstream"):
                continue
            inner = self.check(member)
            if inner is not None:
                members[name] = (_camel(name), inner)
        return check

    def _list(self, shape: ListShape, key: tuple[str, str]) -> Check:
        own = _sizes(shape)
        nested = [] if _is_scalar(shape.member) else [shape.member]
        each = _constraints(shape.member) if not nested else []
        inner: list[Check] = []

        def check(value: Any, path: str, errors: list[str]) -> None:
            _hold(own, value, path, errors)
            if each and any(item is not None and not _keeps(each, item) for item in value):
                told = ", ".join(text for text, _ in each)
                shown = _show(value, sensitive=bool(shape.member.metadata.get("sensitive")))
                errors.append(_failure(shown, path, f"Member must satisfy constraint: [{told}]"))
            for at, item in enumerate(value, 1):
                if item is None:
                    errors.append(_failure("Value null", f"{path}.{at}.member", "Member must not be null"))
                elif inner:
                    inner[0](item, f"{path}.{at}.member", errors)

        self._known[key] = check
        inner.extend(made for made in map(self.check, nested) if made is not None)
        return check

    def _map(self, shape: MapShape, key: tuple[str, str]) -> Check:
        own, keys = _sizes(shape), _constraints(shape.key)
        nested = [] if _is_scalar(shape.value) else [shape.value]
        values = _constraints(shape.value) if not nested else []
        inner: list[Check] = []

        def check(value: Any, path: str, errors: list[str]) -> None:
            _hold(own, value, path, errors)
            for constraints, items, noun in ((keys, value.keys(), "keys"), (values, value.values(), "value")):
                if constraints and any(item is not None and not _keeps(constraints, item) for item in items):
                    told = ", ".join(text for text, _ in constraints)
                    errors.append(_failure(_show(value), path, f"Map {noun} must satisfy constraint: [{told}]"))
            for name, item in value.items():
                if item is None:
                    errors.append(_failure("Value null", f"{path}.{name}.member", "Member must not be null"))
                elif inner:
                    inner[0](item, f"{path}.{name}.member", errors)

        self._known[key] = check
        inner.extend(made for made in map(self.check, nested) if made is not None)
        return check


def _is_scalar(shape: Shape) -> bool:
    return not isinstance(shape, (StructureShape, ListShape, MapShape))


def _scalar(shape: Shape) -> Check | None:
    constraints = _constraints(shape)
    if not constraints:
        return None
    sensitive = bool(shape.metadata.get("sensitive"))

    def check(value: Any, path: str, errors: list[str]) -> None:
        _hold(constraints, value, path, errors, sensitive)

    return check


def _hold(constraints: list[Constraint], value: Any, path: str, errors: list[str], sensitive: bool = False) -> None:
    """A value too long for its shape is not matched against the pattern: what is matched is bounded."""
    for told, keeps in constraints:
        if not keeps(value):
            errors.append(_failure(_show(value, sensitive), path, told))
            if "less than or equal" in told:
                return


def _keeps(constraints: list[Constraint], value: Any) -> bool:
    return all(keeps(value) for _, keeps in constraints)


def _sizes(shape: Shape) -> list[Constraint]:
    """Bounds of a length: of text, of bytes, of a list, of a map."""
    found: list[Constraint] = []
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if high is not None:
        most = int(high)
        found.append((f"Member must have length less than or equal to {most}", lambda value: len(value) <= most))
    if low:
        least = int(low)
        found.append((f"Member must have length greater than or equal to {least}", lambda value: len(value) >= least))
    return found


def _constraints(shape: Shape) -> list[Constraint]:
    """Of a scalar, the upper bound first."""
    found: list[Constraint] = []
    if shape.type_name in _LENGTHS:
        found += _sizes(shape)
    elif shape.type_name in _NUMBERS:
        found += _range(shape)
    pattern = shape.metadata.get("pattern")
    if pattern and shape.type_name == "string":
        told = f"Member must satisfy regular expression pattern: {pattern}"
        found.append((told, lambda value: patterns.matches(pattern, value)))
    enum = shape.metadata.get("enum")
    if enum and shape.type_name == "string":
        allowed = frozenset(enum)
        found.append((f"Member must satisfy enum value set: [{', '.join(enum)}]", allowed.__contains__))
    return found


def _range(shape: Shape) -> list[Constraint]:
    found: list[Constraint] = []
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if high is not None:
        found.append((f"Member must have value less than or equal to {high}", lambda value: value <= high))
    if low is not None:
        found.append((f"Member must have value greater than or equal to {low}", lambda value: value >= low))
    return found


def _failure(shown: str, path: str, told: str) -> str:
    return f"{shown} at '{path}' failed to satisfy constraint: {told}"


def _show(value: Any, sensitive: bool = False) -> str:
    if sensitive:
        return "Value"
    text = _java(value)
    return f"Value '{text if len(text) <= _SHOWN else text[:_SHOWN] + '...'}'"


def _java(value: Any) -> str:
    """As Java prints it, which is what AWS's messages hold."""
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return "null"
        case bytes():
            return f"{len(value)} bytes"
        case dict():
            return "{" + ", ".join(f"{name}={_java(item)}" for name, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(_java(item) for item in value) + "]"
    return str(value)


def _camel(name: str) -> str:
    return name[:1].lower() + name[1:]
