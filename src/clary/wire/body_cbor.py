"""CBOR (RFC 8949) as smithy-rpc-v2-cbor uses it: bytes <-> plain values, and the codec of shapes over them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import datetime
from typing import Any

from botocore.model import Shape

from clary.wire import scalars
from clary.wire.body_json import JsonCodec, read_string
from clary.wire.scalars import Malformed

_DEPTH = 128
_BREAK = object()
_FLOATS = {25: struct.Struct("!e"), 26: struct.Struct("!f"), 27: struct.Struct("!d")}
_TIMESTAMP = 1


class CborCodec(JsonCodec):
    """The JSON codec's walk over shapes; names are the members' own, blobs and timestamps have types on the wire."""

    def wire_name(self, name: str, member: Shape) -> str:
        return name

    def read_blob(self, value: Any) -> Any:
        if isinstance(value, bytes):
            return value
        raise Malformed("A byte string is expected")

    def read_timestamp(self, value: Any) -> Any:
        return value if isinstance(value, datetime) else super().read_timestamp(value)

    def write_blob(self, value: Any) -> Any:
        return value.encode() if isinstance(value, str) else bytes(value)

    def write_float(self, value: Any) -> Any:
        return float(value)

    def timestamp_writer(self, shape: Shape) -> Callable[[Any], Any]:
        return lambda value: Timestamp(scalars.write_epoch(value))


class Timestamp:
    """Epoch seconds that `dumps` writes with the tag of a time."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


def loads(data: bytes) -> Any:
    """One data item, and nothing after it. Times come as aware datetimes. Raises Malformed."""
    reader = _Reader(data)
    try:
        value = reader.item(0)
    except (IndexError, struct.error, UnicodeDecodeError, OverflowError):
        raise Malformed("The request body is not valid CBOR") from None
    if value is _BREAK or reader.at != len(data):
        raise Malformed("The request body is not valid CBOR")
    return value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def item(self, depth: int) -> Any:
        if depth > _DEPTH:
            raise Malformed("The request body is nested too deeply")
        first = self.data[self.at]
        self.at += 1
        major, info = first >> 5, first & 31
        if major == 7:
            return self._simple(info)
        if info == 31:
            return self._indefinite(major, depth)
        return self._sized(major, self._number(info), depth)

    def _sized(self, major: int, number: int, depth: int) -> Any:
        """An item of a length or a value that its head states."""
        match major:
            case 0 | 1:
                return -1 - number if major else number
            case 2 | 3:
                data = self._take(number)
                return data.decode() if major == 3 else data
            case 4:
                return [self._no_break(depth) for _ in range(self._fitting(number))]
            case 5:
                return dict(self._pair(depth) for _ in range(self._fitting(number)))
        return self._tagged(number, self._no_break(depth))

    def _number(self, info: int) -> int:
        if info < 24:
            return info
        if info > 27:
            raise Malformed("The request body is not valid CBOR")
        return int.from_bytes(self._take(1 << (info - 24)), "big")

    def _take(self, size: int) -> bytes:
        piece = self.data[self.at : self.at + size]
        if len(piece) != size:
            raise Malformed("The request body ends early")
        self.at += size
        return piece

    def _fitting(self, count: int) -> int:
        """A count that the rest of the data can hold, so that a lie about it costs nothing."""
        if count > len(self.data) - self.at:
            raise Malformed("The request body ends early")
        return count

    def _pair(self, depth: int) -> tuple[str, Any]:
        name = self.item(depth + 1)
        return read_string(name), self._no_break(depth)

    def _indefinite(self, major: int, depth: int) -> Any:
        if major not in (2, 3, 4, 5):
            raise Malformed("The request body is not valid CBOR")
        items: list[Any] = []
        while (item := self.item(depth + 1)) is not _BREAK:
            items.append((read_string(item), self._no_break(depth)) if major == 5 else item)
        if major == 4:
            return items
        if major == 5:
            return dict(items)
        if not all(isinstance(each, bytes if major == 2 else str) for each in items):
            raise Malformed("The request body is not valid CBOR")
        return b"".join(items) if major == 2 else "".join(items)

    def _no_break(self, depth: int) -> Any:
        """An item where an end may not stand."""
        value = self.item(depth + 1)
        if value is _BREAK:
            raise Malformed("The request body is not valid CBOR")
        return value

    def _simple(self, info: int) -> Any:
        if info in _FLOATS:
            form = _FLOATS[info]
            return form.unpack(self._take(form.size))[0]
        values = {20: False, 21: True, 22: None, 23: None, 31: _BREAK}
        if info not in values:
            raise Malformed("The request body is not valid CBOR")
        return values[info]

    def _tagged(self, tag: int, value: Any) -> Any:
        if tag == _TIMESTAMP:
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise Malformed("The value can not be converted to a Timestamp")
            return scalars.read_timestamp(value)
        if tag in (2, 3) and isinstance(value, bytes):
            number = int.from_bytes(value, "big")
            return number if tag == 2 else -1 - number
        return value


def dumps(value: Any) -> bytes:
    """Of dict (text keys), list, str, bytes, bool, int (64 bits), float, None and Timestamp."""
    out = bytearray()
    _write(out, value)
    return bytes(out)


def _head(out: bytearray, major: int, number: int) -> None:
    if number < 24:
        out.append(major << 5 | number)
        return
    power = 0 if number < 1 << 8 else 1 if number < 1 << 16 else 2 if number < 1 << 32 else 3
    out.append(major << 5 | 24 + power)
    out += number.to_bytes(1 << power, "big")


def _write(out: bytearray, value: Any) -> None:
    match value:
        case None:
            out.append(0xF6)
        case bool():
            out.append(0xF5 if value else 0xF4)
        case int():
            _head(out, 1 if value < 0 else 0, -1 - value if value < 0 else value)
        case float():
            out.append(0xFB)
            out += _FLOATS[27].pack(value)
        case Timestamp():
            _head(out, 6, _TIMESTAMP)
            _write(out, value.seconds)
        case _:
            _write_sized(out, value)


def _write_sized(out: bytearray, value: Any) -> None:
    match value:
        case bytes() | bytearray():
            _head(out, 2, len(value))
            out += value
        case str():
            data = value.encode(errors="replace")  # JSON may bring half a character, and a refusal quote it
            _head(out, 3, len(data))
            out += data
        case list() | tuple():
            _head(out, 4, len(value))
            for item in value:
                _write(out, item)
        case dict():
            _head(out, 5, len(value))
            for name, item in value.items():
                _write(out, str(name))
                _write(out, item)
        case _:
            raise TypeError(f"CBOR has no {type(value).__name__}")
