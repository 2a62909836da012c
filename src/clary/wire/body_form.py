"""application/x-www-form-urlencoded bodies of the query protocol -> parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

from botocore.model import ListShape, MapShape, Shape, StructureShape

from clary.wire import scalars
from clary.wire.body_json import shape_key
from clary.wire.scalars import Malformed

_PAIR_LIMIT = 20_000
_DEPTH = 32
_USUAL = 256  # characters of what is remembered


class Node:
    """One name of the form: its text, if it has one, and what comes after the next dot."""

    __slots__ = ("children", "text")

    def __init__(self) -> None:
        self.text: str | None = None
        self.children: dict[str, Node] = {}


Reader = Callable[[Node], Any]


def decode(text: str) -> str:
    """One name or value of a form or a query string. Raises Malformed when it is not UTF-8."""
    if "%" not in text and "+" not in text and text.isascii():
        return text
    return _known_decoded(text) if len(text) <= _USUAL else _decoded(text)


def _decoded(text: str) -> str:
    try:
        return unquote_to_bytes(text.replace("+", " ").encode("latin-1")).decode("utf-8")
    except UnicodeError:
        raise Malformed("The request is not UTF-8") from None


_known_decoded = lru_cache(maxsize=1024)(_decoded)  # presigned URLs have much in common; pure, so never stale


def pairs(text: str) -> list[tuple[str, str]]:
    """The decoded pairs of a form or a query string, in order. A name without "=" has the value ""."""
    parts = text.split("&", _PAIR_LIMIT)
    if len(parts) > _PAIR_LIMIT:
        raise Malformed("The request has too many parameters")
    split = [part.partition("=") for part in parts if part]
    if "%" not in text and "+" not in text and text.isascii():
        return [(name, value) for name, _, value in split]
    return [(decode(name), decode(value)) for name, _, value in split]


def tree(given: Iterable[tuple[str, str]]) -> Node:
    root = Node()
    for name, text in given:
        node = root
        parts = name.split(".")
        if len(parts) > _DEPTH:
            raise Malformed("A parameter is nested too deeply")
        for part in parts:
            node = node.children.setdefault(part, Node())
        node.text = text
    return root


class FormCodec:
    """Readers of shapes, compiled on first use. Not safe to compile from two threads at once."""

    def __init__(self) -> None:
        self._readers: dict[tuple[str, str], Reader] = {}

    def reader(self, shape: Shape) -> Reader:
        """Node -> parameter. The function raises Malformed."""
        key = shape_key(shape)
        if key not in self._readers:
            self._readers[key] = self._compile(shape)
        return self._readers[key]

    # Composite shapes enter themselves before their members are compiled: shapes may contain themselves.

    def _compile(self, shape: Shape) -> Reader:
        if isinstance(shape, StructureShape):
            return self._structure(shape)
        if isinstance(shape, ListShape):
            return self._list(shape)
        return self._map(shape) if isinstance(shape, MapShape) else _scalar(shape)

    def _structure(self, shape: StructureShape) -> Reader:
        members: list[tuple[str, str, Reader]] = []

        def read(node: Node) -> Any:
            value = {}
            for name, wire, convert in members:
                child = node.children.get(wire)
                if child is not None:
                    value[name] = convert(child)
            return value

        self._readers[shape_key(shape)] = read
        for name, member in shape.members.items():
            wire = member.serialization.get("name", name)
            names = {wire}
            if isinstance(member, ListShape) and member.serialization.get("flattened"):
                # botocore writes the name of the list's member here, other clients the list's.
                names.add(member.member.serialization.get("name", wire))
            members += [(name, each, self.reader(member)) for each in sorted(names)]
        return read

    def _list(self, shape: ListShape) -> Reader:
        inner = "" if shape.serialization.get("flattened") else shape.member.serialization.get("name", "member")
        made: list[Reader] = []

        def read(node: Node) -> Any:
            return [made[0](each) for each in _entries(node, inner)]

        self._readers[shape_key(shape)] = read
        made.append(self.reader(shape.member))
        return read

    def _map(self, shape: MapShape) -> Reader:
        inner = "" if shape.serialization.get("flattened") else "entry"
        key_name = shape.key.serialization.get("name", "key")
        value_name = shape.value.serialization.get("name", "value")
        made: list[Reader] = []

        def read(node: Node) -> Any:
            value = {}
            for entry in _entries(node, inner):
                key, item = entry.children.get(key_name), entry.children.get(value_name)
                if key is None or item is None:
                    raise Malformed("An entry of a map lacks its key or its value")
                value[key.text or ""] = made[0](item)
            return value

        self._readers[shape_key(shape)] = read
        made.append(self.reader(shape.value))
        return read


def _entries(node: Node, inner: str) -> list[Node]:
    """The children 1, 2, ... in the order of their numbers (clients may leave holes)."""
    holder = node.children.get(inner) if inner else node
    if holder is None:
        return []
    try:
        return [holder.children[name] for name in sorted(holder.children, key=_position)]
    except ValueError:
        raise Malformed("A list's or map's entries are not numbered") from None


def _position(name: str) -> int:
    if not name.isascii() or not name.isdigit() or len(name) > 9:
        raise ValueError(name)
    return int(name)


def _scalar(shape: Shape) -> Reader:
    convert = scalars.text_reader(shape)
    return lambda node: convert(node.text or "")
