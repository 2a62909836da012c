"""JSON documents <-> parameters. The shape is compiled once into functions; a request then only runs them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

from botocore.model import ListShape, MapShape, Shape, StructureShape

from clary.wire import scalars
from clary.wire.scalars import Malformed

Convert = Callable[[Any], Any]

# Members that stand in a head, never in a body: of an answer (False), of a request (True).
IN_HEAD = {
    False: frozenset({"header", "headers", "statusCode"}),
    True: frozenset({"header", "headers", "uri", "querystring"}),
}


def loads(data: bytes) -> Any:
    """Strict JSON in UTF-8: no NaN literals, no lone surrogates (nothing could store them). Raises Malformed."""
    try:
        value = _DECODER.decode(data.decode())
        if b"\\ud" in data or b"\\uD" in data:
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Malformed("The request body is not valid JSON") from error
    return value


def dumps(value: Any) -> bytes:
    return _ENCODER.encode(value).encode()


def _no_constant(name: str) -> NoReturn:
    raise Malformed(f"{name} is not a JSON value")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)
_ENCODER = json.JSONEncoder(separators=(",", ":"))


class Written(Mapping[str, Any]):
    """A result that is JSON text already, exactly as its shape is written; a mapping for whoever looks inside."""

    __slots__ = ("_read", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._read: dict[str, Any] | None = None

    def __getitem__(self, name: str) -> Any:
        return self._members[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    @property
    def _members(self) -> dict[str, Any]:
        if self._read is None:
            self._read = json.loads(self.text)
        return self._read


class JsonCodec:
    """Readers and writers of shapes, compiled on first use. Not safe to compile from two threads at once."""

    def __init__(self) -> None:
        self._readers: dict[tuple[str, str], Convert] = {}
        self._writers: dict[tuple[str, str], Convert] = {}

    def reader(self, shape: Shape) -> Convert:
        """Wire value -> parameter. The function raises Malformed."""
        key = shape_key(shape)
        if key not in self._readers:
            self._readers[key] = self._compile(shape, self._readers, self.reader, self._scalar_reader, reading=True)
        return self._readers[key]

    def writer(self, shape: Shape) -> Convert:
        """Result value -> wire value. Members that the shape lacks and None are left out."""
        key = shape_key(shape)
        if key not in self._writers:
            self._writers[key] = self._compile(shape, self._writers, self.writer, self._scalar_writer, reading=False)
        return self._writers[key]

    def _compile(
        self,
        shape: Shape,
        table: dict[tuple[str, str], Convert],
        nested: Callable[[Shape], Convert],
        scalar: Callable[[Shape], Convert],
        reading: bool,
    ) -> Convert:
        if shape.metadata.get("document"):
            return same
        if isinstance(shape, StructureShape):
            members: dict[str, tuple[str, Convert]] = {}
            # Entered before its members are compiled: shapes may contain themselves.
            table[shape_key(shape)] = convert = _structure(members)
            for name, member in shape.members.items():
                if member.serialization.get("location") in IN_HEAD[reading]:
                    continue
                wire = self.wire_name(name, member)
                source, to = (wire, name) if reading else (name, wire)
                members[source] = (to, nested(member))
            return convert
        if isinstance(shape, (ListShape, MapShape)):
            made: list[Convert] = []
            table[shape_key(shape)] = convert = _list(made) if isinstance(shape, ListShape) else _map(made)
            made.append(nested(shape.member if isinstance(shape, ListShape) else shape.value))
            return convert
        return scalar(shape)

    def wire_name(self, name: str, member: Shape) -> str:
        return str(member.serialization.get("name", name))

    def _scalar_reader(self, shape: Shape) -> Convert:
        kind = shape.type_name
        if kind in scalars.INTEGER_BOUNDS:
            return lambda value: read_integer(value, kind)
        table: dict[str, Convert] = {
            "string": read_string,
            "char": read_string,
            "float": read_float,
            "double": read_float,
            "boolean": read_boolean,
            "blob": self.read_blob,
            "timestamp": self.read_timestamp,
        }
        return table[kind]

    def _scalar_writer(self, shape: Shape) -> Convert:
        kind = shape.type_name
        if kind == "blob":
            return self.write_blob
        if kind in ("float", "double"):
            return self.write_float
        if kind == "timestamp":
            return self.timestamp_writer(shape)
        if kind == "string" and shape.serialization.get("jsonvalue"):
            return lambda value: value if isinstance(value, str) else json.dumps(value)
        return same

    def read_blob(self, value: Any) -> Any:
        return scalars.read_blob(read_string(value))

    def read_timestamp(self, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise Malformed("The value can not be converted to a Timestamp")
        return scalars.read_timestamp(value)

    def write_blob(self, value: Any) -> Any:
        return scalars.write_blob(value)

    def write_float(self, value: Any) -> Any:
        number = float(value)
        return value if number - number == 0 else scalars.write_float(number)

    def timestamp_writer(self, shape: Shape) -> Convert:
        form = shape.serialization.get("timestampFormat", "unixTimestamp")
        if form == "unixTimestamp":
            return scalars.write_epoch
        return lambda value: scalars.write_timestamp(value, form)


def shape_key(shape: Shape) -> tuple[str, str]:
    """What a compiled shape depends on: its name and what the member that refers to it adds."""
    traits = shape.serialization
    return shape.name, repr(sorted(traits.items(), key=_first)) if traits else ""


def _first(item: tuple[str, Any]) -> str:
    return item[0]


def same(value: Any) -> Any:
    return value


def _structure(members: dict[str, tuple[str, Convert]]) -> Convert:
    def convert(value: Any) -> Any:
        if not isinstance(value, dict):
            raise Malformed("Unrecognized collection type: a structure is expected")
        converted = {}
        for name, item in value.items():
            known = members.get(name)
            if known is not None and item is not None:
                to, make = known
                converted[to] = item if make is same else make(item)
        return converted

    return convert


def _list(member: list[Convert]) -> Convert:
    def convert(value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            raise Malformed("Unrecognized collection type: a list is expected")
        item_of = member[0]
        if item_of is same:
            return value
        return [None if item is None else item_of(item) for item in value]

    return convert


def _map(member: list[Convert]) -> Convert:
    def convert(value: Any) -> Any:
        if not isinstance(value, dict):
            raise Malformed("Unrecognized collection type: a map is expected")
        item_of = member[0]
        if item_of is same:
            return value
        return {name: None if item is None else item_of(item) for name, item in value.items()}

    return convert


def read_string(value: Any) -> str:
    if type(value) is str:
        return value
    raise Malformed(f"{_kind(value)} can not be converted to a String")


def read_integer(value: Any, kind: str) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Malformed(f"{_kind(value)} can not be converted to {'a Long' if kind == 'long' else 'an Integer'}")
    return scalars.bounded(value, kind)


def read_float(value: Any) -> float:
    if isinstance(value, str):
        return scalars.read_float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Malformed(f"{_kind(value)} can not be converted to a Double")
    try:
        return float(value)
    except OverflowError:
        raise Malformed("Numeric value out of range of a Double") from None


def read_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise Malformed(f"{_kind(value)} can not be converted to a Boolean")


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "TRUE_VALUE" if value else "FALSE_VALUE"
        case int() | float():
            return "NUMBER_VALUE"
        case str() | bytes():
            return "STRING_VALUE"
        case None:
            return "NULL_VALUE"
    return "Start of structure, map or list"
